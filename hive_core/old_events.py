"""Events that are old enough to be forgotten, and up to where the history has lost some."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from hive_core.store import Store

_AT_ONCE = 1000
# The order of events is that of their seqs; a clock that was wrong may have dated some out of it. Behind so many in a
# row that are not old nothing old is looked for.
_ENOUGH = 20_000
# Where it is kept up to where the history has lost some: beside what was told last.
_MARK = "forgotten"


def old(store: Store, before: float) -> Iterator[int]:
    """The seqs of the events that happened before a moment, oldest first. before: unix seconds."""
    after = recent = 0
    while recent < _ENOUGH and (rows := _read(store, after)):
        for seq, at in rows:
            recent = 0 if at < before else recent + 1
            if at < before:
                yield seq
        after = rows[-1][0]


def _read(store: Store, after: int) -> list[tuple[int, float]]:
    with store.read() as db:
        found = db.execute("select seq, at from events where seq > ? order by seq limit ?", (after, _AT_ONCE))
        return [(row["seq"], row["at"]) for row in found]


def forget(db: sqlite3.Connection, seqs: list[int]) -> int:
    """Remove these events in the caller's transaction; returns how many there were."""
    gone = db.executemany("delete from events where seq = ?", [(seq,) for seq in seqs]).rowcount
    mark = json.dumps({"seq": max(forgotten(db), *seqs)})
    db.execute("insert or replace into snapshots (kind, data) values (?, ?)", (_MARK, mark))
    return gone


def forgotten(db: sqlite3.Connection) -> int:
    """The seq of the last event that was forgotten; 0 where none was. Behind it nothing is missing."""
    row = db.execute("select data from snapshots where kind = ?", (_MARK,)).fetchone()
    return 0 if row is None else int(json.loads(row["data"])["seq"])


def measure(db: sqlite3.Connection, seqs: list[int]) -> int:
    """The bytes of these events' data."""
    one = "select length(data) from events where seq = ?"
    return sum(int(row[0]) for seq in seqs for row in db.execute(one, (seq,)))
