"""What changed between two looks at the agents, by itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hive_fleet.agents.ends import RunEnd
from hive_fleet.agents.last_seen import Picture, Seen


@dataclass(frozen=True, slots=True)
class Verdict:
    """One conclusion about an agent. kind: of the event that tells it. fields: what else that event holds."""

    kind: str
    agent: str
    fields: dict[str, Any] = field(default_factory=dict)


def transitions(before: Picture, now: Picture) -> list[Verdict]:
    """What changed between two looks without an operation. Pure: a function of the two pictures alone.

    Nothing is concluded of an agent that the first picture lacks.
    """
    verdicts: list[Verdict] = []
    for name, seen in now.items():
        old = before.get(name)
        if old is not None:
            verdicts += _of_one(name, old, seen)
    return verdicts


def told_of(end: RunEnd | None) -> dict[str, Any]:
    """What a crash is told with: the kind of its end, the same in words, and its exit code."""
    if end is None:
        return {"cause": "its container is gone", "reason": "gone", "code": None}
    return {"cause": end.cause, "reason": end.reason, "code": end.code}


def _of_one(name: str, old: Seen, new: Seen) -> Iterator[Verdict]:
    # A container that its system restarted was running at both looks, and has crashed between them.
    ended = old.running and (not new.running or new.instance != old.instance)
    if ended and new.wanted and not new.busy:
        yield Verdict("container_crash", name, told_of(new.end))
    if old.logged_in and not new.logged_in:
        yield Verdict("needs_login", name)
    if new.logged_in and not old.logged_in:
        yield Verdict("logged_in", name)
    if old.up_to_date and not new.up_to_date:
        yield Verdict("needs_update", name)
