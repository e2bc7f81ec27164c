"""What can go wrong beside an agent, each with a sentence for its reader."""

from __future__ import annotations


class AgentError(Exception):
    """A failure: `message` says what failed and why, `hint` what to do next (None where there is nothing)."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class Refused(AgentError):
    """The gate answered, and said no."""


class Unreachable(AgentError):
    """The gate did not answer, or the connection ended before it did."""


class Stopped(AgentError):
    """The harness was asked to end while it waited."""
