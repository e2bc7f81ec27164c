"""What an agent has been through, as a strip shows it: how it was from when on, and what happened to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hive_core.events import Event, newest_about
from hive_fleet.events.sentences import sentence

# Changes of an agent's state, and events of each other kind, that are looked at: the newest ones.
MOST_CHANGES, MOST_MARKS = 4000, 200
MARKED = (
    *("spawned", "approval_resolved", "container_crash", "crash_loop", "restarted", "rebuilt"),
    *("killed", "needs_login", "destroyed"),
)
# What a harness says while it works on something; other words of it mean that it cannot.
_WORKING, _WAITING = ("thinking", "compacting"), (None, "idle", "starting")


@dataclass(frozen=True, slots=True)
class Phase:
    """How an agent was from a moment on, in unix seconds: turn, running, held_up, stopped, failed or absent."""

    at: int
    state: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to an agent. kind: of the event. text: in words. id: of a decided request."""

    at: int
    kind: str
    text: str
    id: int | None = None


def condition(row: Mapping[str, Any]) -> str:
    """The one word for how an agent is."""
    if not row.get("running"):
        return "failed" if row.get("failed") or row.get("crash_loop") else "stopped"
    turn = row.get("turn")
    if turn in _WORKING:
        return "turn"
    return "running" if turn in _WAITING and not row.get("paused") else "held_up"


def phases(db: sqlite3.Connection, agent: str, since: float) -> list[Phase]:
    """How an agent was from `since` on, oldest first; the first may have begun before. Later, where it is too much."""
    newest: list[Phase] = []
    for event in newest_about(db, agent, "container_state_changed", MOST_CHANGES):
        newest.append(Phase(int(event.at), condition(event.data["container"])))
        if event.at < since:
            break
    gone = [Phase(int(event.at), "absent") for event in newest_about(db, agent, "container_removed", MOST_MARKS)]
    found = sorted([*reversed(newest), *gone], key=lambda phase: phase.at)
    return [now for before, now in pairwise([Phase(0, ""), *found]) if now.state != before.state]


def marks(db: sqlite3.Connection, agent: str, since: float) -> list[Mark]:
    """What happened to an agent from `since` on, oldest first."""
    events = [event for kind in MARKED for event in _from(newest_about(db, agent, kind, MOST_MARKS), since)]
    return [
        Mark(int(event.at), event.kind, said, event.data.get("id"))
        for event in sorted(events, key=lambda event: event.seq)
        if (said := sentence(event)) is not None
    ]


def _from(newest: Iterator[Event], since: float) -> Iterator[Event]:
    for event in newest:
        if event.at < since:
            return
        yield event
