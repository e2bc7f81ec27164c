"""The event stream at the shell: what happened, and what happens as it happens."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from hive_cmds.sentences import Line, lines
from hive_core import events as log
from hive_core.arguments import Seq, choice
from hive_core.context import Hive
from hive_core.events import KINDS, Event
from hive_core.operation import OPERATOR, operation
from hive_core.wake import Wake

EventKind = Annotated[str, choice(tuple(KINDS), "a kind of event", "KIND")]

# How many events are shown to a person who did not say since when.
RECENT = 50


@operation(callers=OPERATOR, group="Seeing", shell_only=True)
def events(
    hive: Hive, since: Seq | None = None, kind: list[EventKind] | None = None, follow: bool = False
) -> Iterator[Line]:
    """Show the newest events, or all since one; each has a number, seq, that is never used twice.

    since: show all events after this seq instead
    kind: only events of this kind; may be given several times
    follow: go on and show further events as they happen
    """
    return lines(_events(hive, since, kind or [], follow), whole=bool(kind), numbered=True)


def _events(hive: Hive, since: int | None, kinds: list[str], follow: bool) -> Iterator[Event]:
    with Wake(hive.store) as wake:
        seq = since if since is not None else _before_recent(hive, kinds)
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
