"""The seam between the turn loop and a program that thinks: what a runner does, tells and returns."""

from __future__ import annotations

import enum
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class TurnEvent:
    """Something that happened in a turn, for the record and the page.

    kind: started, text, thinking, tool_call, tool_result, compacting, compacted, retry, rate_limit, note, result.
    data: what a JSON object can hold. `started` carries `model` where the runner knows it.
    """

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


class End(enum.Enum):
    """How a turn ended; decides what becomes of its message."""

    DONE = "done"
    CANCELLED = "cancelled"
    PROMPT_TOO_LONG = "prompt_too_long"
    RATE_LIMITED = "rate_limited"
    LOGGED_OUT = "logged_out"
    # The account may not be used: no credit, disabled, no right to it. Another message would fare the same.
    ACCOUNT = "account"
    # The service or the way to it is down: nothing that the message or the agent could help.
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a turn. detail: a sentence about it. until: unix seconds when a limit resets, where it was named."""

    end: End
    detail: str = ""
    until: float | None = None


Turn = Generator[TurnEvent, None, Outcome]


class Runner(Protocol):
    """A program that takes a prompt and works on it. One turn at a time; `cancel` alone may come from elsewhere."""

    needs_login: bool
    """Whether it can do nothing without usable credentials."""

    def start(self) -> None:
        """Get ready, before the first turn. Raises AgentError when the program is not there or not configured."""

    def turn(self, prompt: str, model: str | None) -> Turn:
        """Work on a prompt, in the conversation so far; yields what happens, returns how it ended.

        It forgets a `cancel` from before, and then yields `started` before it waits for anything. model: None is
        the program's own default.
        """

    def compact(self, model: str | None) -> Turn:
        """Make the conversation shorter. DONE only when it really is."""

    def cancel(self) -> None:
        """End the turn in progress soon, as CANCELLED. Safe in a signal handler and in any thread."""

    def close(self) -> None:
        """End every process it started. It may be used again afterwards."""
