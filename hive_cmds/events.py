"""The event stream at the shell: what happened, and what happens as it happens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Annotated

from hive_core import events as log
from hive_core.arguments import Seq, choice
from hive_core.context import Hive
from hive_core.event_kinds import EVENT_KINDS
from hive_core.events import Event
from hive_core.operation import OPERATOR, SHELL, operation
from hive_core.wake import Wake
from hive_fleet.events.feed import Line, after, lines
from hive_fleet.events.sentences import FROM_SYSTEM, SILENT

KindOfEvent = Annotated[str, choice(tuple(EVENT_KINDS), "a kind of event", "KIND")]

# How many events are shown to a person who did not say since when, and among how many they are looked for.
RECENT, SEARCHED = 50, 1000


@operation(callers=OPERATOR, group="Seeing", reads=True)
def events(
    hive: Hive,
    since: Seq | None = None,
    kind: list[KindOfEvent] | None = None,
    follow: bool = False,
    system: Annotated[bool, SHELL] = False,
) -> Iterator[Line]:
    """Show the newest events, or all since one; each has a number, seq, that is never used twice.

    A person is told what people and agents have said and what became of agents; a program, by --json, everything.

    since: show all events after this seq instead
    kind: only events of this kind; may be given several times
    follow: go on and show further events as they happen
    system: tell a person of each event, also of what the system tells agents and notes for programs
    """
    kinds, every = kind or [], bool(kind) or system
    if since is None:
        with hive.store.read() as db:
            since = log.before_newest(db, RECENT, kinds) if every else _before_said(db)
    found = _following(hive, since, kinds) if follow else after(hive, since, kinds)
    return lines(found, whole=every, numbered=True)


def _before_said(db: sqlite3.Connection) -> int:
    """The seq after which the newest events come that a person is told of; of all, where none of them is."""
    told = log.before_newest_but(db, RECENT, SILENT, ("sent", FROM_SYSTEM), among=SEARCHED)
    return log.before_newest(db, RECENT) if told is None else told


def _following(hive: Hive, seq: int, kinds: list[str]) -> Iterator[Event]:
    """Every event after `seq`, and then every further one as it comes."""
    with Wake(hive.store) as wake:
        while True:
            for event in after(hive, seq, kinds):
                seq = event.seq
                yield event
            wake.wait()
