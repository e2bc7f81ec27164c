"""The event stream at the shell: what happened, and what happens as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from hive_core import events as log
from hive_core.arguments import Seq, choice
from hive_core.context import Hive
from hive_core.events import KINDS, Event
from hive_core.operation import OPERATOR, operation
from hive_core.wake import Wake
from hive_fleet.events.sentences import FROM_SYSTEM, SILENT, Line, lines

EventKind = Annotated[str, choice(tuple(KINDS), "a kind of event", "KIND")]

# How many events are shown to a person who did not say since when, and among how many they are looked for.
RECENT, SEARCHED = 50, 1000


@operation(callers=OPERATOR, group="Seeing", shell_only=True)
def events(
    hive: Hive,
    since: Seq | None = None,
    kind: list[EventKind] | None = None,
    follow: bool = False,
    system: bool = False,
) -> Iterator[Line]:
    """Show the newest events, or all since one; each has a number, seq, that is never used twice.

    A person is told what people and agents have said and what became of agents; a program, by --json, everything.

    since: show all events after this seq instead
    kind: only events of this kind; may be given several times
    follow: go on and show further events as they happen
    system: tell a person of each event, also of what the system tells agents and notes for programs
    """
    seq = since if since is not None else _before_recent(hive, kind or []) if kind or system else _before_said(hive)
    return lines(_events(hive, seq, kind or [], follow), whole=bool(kind) or system, numbered=True)


def _events(hive: Hive, seq: int, kinds: list[str], follow: bool) -> Iterator[Event]:
    with Wake(hive.store) as wake:
        while True:
            for event in after(hive, seq, kinds):
                seq = event.seq
                yield event
            if not follow:
                return
            wake.wait()


def after(hive: Hive, seq: int, kinds: list[str]) -> Iterator[Event]:
    """Every event after `seq` that is there now, in pages, so that a long history needs little memory."""
    while True:
        with hive.store.read() as db:
            page = list(log.since(db, seq, kinds))
        yield from page
        if not page:
            return
        seq = page[-1].seq


def _before_recent(hive: Hive, kinds: list[str]) -> int:
    """The seq after which the last RECENT events of these kinds come."""
    clause = f"where kind in ({', '.join('?' * len(kinds))})" if kinds else ""
    query = f"select min(seq) from (select seq from events {clause} order by seq desc limit {RECENT})"  # noqa: S608
    with hive.store.read() as db:
        first = db.execute(query, kinds).fetchone()[0]
    return 0 if first is None else int(first) - 1


def _before_said(hive: Hive) -> int:
    """The seq after which the last RECENT events come that a person is told of, among the newest SEARCHED."""
    silent = ", ".join("?" * len(SILENT))
    query = f"""
        select min(seq) from (
            select seq from (select seq, kind, data from events order by seq desc limit {SEARCHED})
            where kind not in ({silent}) and not (kind = 'sent' and data like ?) order by seq desc limit {RECENT}
        )
    """  # noqa: S608
    with hive.store.read() as db:
        first = db.execute(query, (*SILENT, FROM_SYSTEM)).fetchone()[0]
    return _before_recent(hive, []) if first is None else int(first) - 1
