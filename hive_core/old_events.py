"""Events that are old enough to be forgotten: always the first ones, so that a stream knows what it has lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from hive_core.store import Store

_AT_ONCE = 1000


def old(store: Store, before: float, now: float) -> Iterator[int]:
    """The seqs of the events that happened before a moment, oldest first. before, now: unix seconds.

    A clock may have been wrong for a while. What it dated into the future goes with what lies around it.
    """
    undecided: list[int] = []
    after = 0
    while rows := _read(store, after):
        for seq, at in rows:
            if before <= at <= now:
                return
            undecided.append(seq)
            if at < before:
                yield from undecided
                undecided = []
        after = rows[-1][0]


def _read(store: Store, after: int) -> list[tuple[int, float]]:
    with store.read() as db:
        found = db.execute("select seq, at from events where seq > ? order by seq limit ?", (after, _AT_ONCE))
        return [(row["seq"], row["at"]) for row in found]


def forget(db: sqlite3.Connection, seqs: list[int]) -> int:
    """Remove these events in the caller's transaction; returns how many there were."""
    return db.executemany("delete from events where seq = ?", [(seq,) for seq in seqs]).rowcount


def measure(db: sqlite3.Connection, seqs: list[int]) -> int:
    """The bytes of these events' data."""
    one = "select length(data) from events where seq = ?"
    return sum(int(row[0]) for seq in seqs for row in db.execute(one, (seq,)))
