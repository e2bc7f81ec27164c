"""The event stream at the shell: what happened, and what happens as it happens."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import Annotated

from hive_core import events as log
from hive_core.arguments import AgentName, choice
from hive_core.context import Hive
from hive_core.event_kinds import EVENT_KINDS
from hive_core.events import Event
from hive_core.moments import Moment, SeqOrMoment
from hive_core.operation import OPERATOR, SHELL, operation
from hive_core.wake import Wake
from hive_fleet.agents import table
from hive_fleet.events.feed import Line, after, lines
from hive_fleet.events.sentences import FROM_SYSTEM, SILENT

KindOfEvent = Annotated[str, choice(tuple(EVENT_KINDS), "a kind of event", "KIND")]

# How many events are shown to a person who did not say since when, and among how many they are looked for.
RECENT, SEARCHED = 50, 1000


@operation(callers=OPERATOR, group="Seeing", reads=True)
def events(
    hive: Hive,
    since: SeqOrMoment | None = None,
    agent: list[AgentName] | None = None,
    kind: list[KindOfEvent] | None = None,
    follow: bool = False,
    system: Annotated[bool, SHELL] = False,
    said: bool = False,
) -> Iterator[Line]:
    """Show the newest events, or all since one; each has a number, seq, that is never used twice.

    A person is told what people and agents have said and what became of agents; a program, by --json, everything: a
    JSON object on each line, as it happens, and no array.

    since: show all events after this seq instead, or from this time on: 2h or 30min ago, 14:30, yesterday, 2026-01-31
    agent: only events about this agent; may be given several times
    kind: only events of this kind; may be given several times
    follow: go on and show further events as they happen
    system: tell a person of each event, also of what the system tells agents and notes for programs
    said: tell a program, too, what a person is told of each event, in `said`, and how much it matters, in `tone`
    """
    kinds, agents, every = kind or [], agent or [], bool(kind) or system
    with hive.store.read() as db:
        _require_known(hive, db, agents, follow=follow)
        seq = _begin(db, since, agents, kinds, every=every)
    found = _following(hive, seq, kinds, agents) if follow else after(hive, seq, kinds, agents)
    return lines(found, whole=every, numbered=True, with_sentence=said)


def _require_known(hive: Hive, db: sqlite3.Connection, agents: list[str], *, follow: bool) -> None:
    """Raises NotFound for an agent that is not there and of which nothing was told. What is followed may come yet."""
    for name in agents:
        if table.is_there(db, name) or log.tell_of(db, name):
            continue
        missing = table.not_found(db, name)
        if not follow:
            raise missing
        hive.say(f"note: {missing.message} What will be told of it is shown.")


def _begin(
    db: sqlite3.Connection, since: int | Moment | None, agents: list[str], kinds: list[str], *, every: bool
) -> int:
    """The seq after which the events come that are shown."""
    if isinstance(since, Moment):
        return log.before_moment(db, since.at)
    if since is not None:
        return since
    if agents:
        return log.before_newest_about(db, RECENT, agents, kinds)
    return log.before_newest(db, RECENT, kinds) if every else _before_said(db)


def _before_said(db: sqlite3.Connection) -> int:
    """The seq after which the newest events come that a person is told of; of all, where none of them is."""
    told = log.before_newest_but(db, RECENT, SILENT, ("sent", FROM_SYSTEM), among=SEARCHED)
    return log.before_newest(db, RECENT) if told is None else told


def _following(hive: Hive, seq: int, kinds: list[str], agents: list[str]) -> Iterator[Event]:
    """Every event after `seq`, and then every further one as it comes."""
    with Wake(hive.store) as wake:
        while True:
            with hive.store.read() as db:
                there = log.newest(db)
            for event in after(hive, seq, kinds, agents):
                seq = event.seq
                yield event
            # What is of others need not be looked through again.
            seq = max(seq, there)
            wake.wait()
