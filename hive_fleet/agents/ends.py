"""Why a container ended: the kind of its end, and the cause in words, with what its harness had said before."""

from __future__ import annotations

from typing import NamedTuple

from hive_core.containers.base import Ended

# What the harness had said last -> the kind of the end, where the program then ended by itself, and its words.
_SAID = {
    "rate_limited": ("usage_limit", "at its usage limit"),
    "needs_login": ("lost_login", "without a login"),
    "key_refused": ("lost_login", "its key was refused"),
    "account_trouble": ("account_trouble", "its account is in trouble"),
}
OUTSIDE = "it was restarted outside hive"


class RunEnd(NamedTuple):
    """How a run ended. reason: exit, signal, out_of_memory, usage_limit, lost_login, account_trouble,
    supervisor_killed, machine_down or restarted_outside. cause: the same in words. ran: for how many seconds it had
    run, None where that is not known."""

    reason: str
    cause: str
    code: int | None
    ran: float | None


def end_of(ended: Ended, said: str | None, started_at: float | None, now: float) -> RunEnd:
    """How a container ended. said: the state that its harness had told last."""
    reason, cause = ended.reason, ended.cause
    if reason == "exit" and ended.code != 0 and said in _SAID:
        reason, words = _SAID[said]
        cause = f"{cause}, {words}"
    last = ended.at if ended.code is not None else now
    return RunEnd(reason, cause, ended.code, None if started_at is None else max(0.0, last - started_at))


def restarted_outside(started_at: float | None, now: float) -> RunEnd:
    """How a container ended that runs again, and nobody of hive's has started it."""
    return RunEnd("restarted_outside", OUTSIDE, None, None if started_at is None else max(0.0, now - started_at))
