"""The one base of everything hive tells a person went wrong, the exit codes, and what can go wrong beside an agent."""

from __future__ import annotations

import enum


class Exit(enum.IntEnum):
    """What a command's exit status says; part of the interface."""

    DONE = 0
    REFUSED = 1
    USAGE = 2
    BUG = 3
    INTERRUPTED = 130


class HiveError(Exception):
    """A failure with a sentence for its reader.

    message: what failed and why, one sentence or a few lines.
    hint: what to do next, or None where there is nothing to do.
    """

    exit_code = Exit.REFUSED

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class AgentError(HiveError):
    """The harness, its CLI or its page cannot do what was asked."""


class GateRefused(AgentError):
    """The gate answered, and said no."""


class Unreachable(AgentError):
    """The gate did not answer, or the connection ended before it did."""


class Stopped(AgentError):
    """The harness was asked to end while it waited."""
