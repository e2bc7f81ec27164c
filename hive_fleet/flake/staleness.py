"""Who is stale: built with another revision of hive than the input `hive` would have, were it moved now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import emit
from hive_core.human import count
from hive_core.process import Owner
from hive_fleet.flake import meta, upstream


def newest_base(hive: Hive) -> str | None:
    """The revision that the input `hive` would have, were it moved now; where that cannot be known, what it has.

    None where there is neither: then nobody can be said to be out of date.
    """
    try:
        newest = upstream.newest(hive)
    except (OSError, HiveError):
        newest = None  # Another user's checkout, out of our reach for the moment, or settings that cannot be used.
    return newest or meta.current_base(hive)


def spared(db: sqlite3.Connection) -> frozenset[str]:
    """The agents that are going to be rebuilt by somebody who is at it: of them nobody need be told."""
    rows = db.execute("select agent, owner from fan_outs where ok is null").fetchall()
    alive = _alive(rows)
    return frozenset(row["agent"] for row in rows if row["owner"] in alive)


def _alive(rows: Iterable[sqlite3.Row]) -> frozenset[str]:
    return frozenset(owner for owner in {row["owner"] for row in rows} if Owner.from_json(owner).alive())


def last_fan_out(db: sqlite3.Connection) -> list[dict[str, Any]]:
    """The agents of the fan-outs in progress, or of the last one: ok is None for one that is still to be rebuilt."""
    rows = db.execute("select agent, ok, note from fan_outs order by rowid")
    return [_told(row["agent"], row["ok"], row["note"]) for row in rows]


def _told(agent: str, ok: int | None, note: str | None) -> dict[str, Any]:
    return {"agent": agent, "ok": None if ok is None else bool(ok), "note": note}


def forget_the_dead(hive: Hive) -> None:
    """Take back what processes that have died were still going to rebuild, and had not yet committed to the lock."""
    with hive.store.read() as db:
        rows = db.execute("select agent, owner from fan_outs where ok is null").fetchall()
    dead = {row["owner"] for row in rows} - _alive(rows)
    if dead:
        try:
            with meta.opened(hive, "mending the lock"):
                pass  # That is what opening it does.
        except (HiveError, OSError) as error:
            hive.say(f"warning: the lock could not be looked at: {error}")
    for owner in dead:
        FanOut(hive, owner).close()


@contextmanager
def rebuilding(hive: Hive, names: Iterable[str]) -> Iterator[FanOut]:
    """Have these agents known as those that are going to be rebuilt, each until it was, all until the block ends."""
    fan_out = FanOut(hive, Owner.current().to_json())
    fan_out.choose(names)
    try:
        yield fan_out
    finally:
        fan_out.close()


class FanOut:
    """Who a fan-out is still going to rebuild, and what became of the others. When its owner dies, nobody any more."""

    def __init__(self, hive: Hive, owner: str) -> None:
        self._hive, self._owner = hive, owner

    def choose(self, names: Iterable[str]) -> None:
        """Make it these, instead of those before. What became of earlier fan-outs is not shown any more."""
        chosen = list(dict.fromkeys(names))
        with self._hive.store.write() as db:
            gone = [row["agent"] for row in db.execute("select * from fan_outs") if self._gives_way(row, chosen)]
            db.executemany("delete from fan_outs where agent = ?", [(name,) for name in gone])
            rows = [(name, self._owner) for name in chosen]
            db.executemany("insert into fan_outs (agent, owner) values (?, ?)", rows)
            _tell(db, gone, [_told(name, None, None) for name in chosen])

    def _gives_way(self, row: sqlite3.Row, chosen: list[str]) -> bool:
        return row["owner"] == self._owner or row["ok"] is not None or row["agent"] in chosen

    def done(self, name: str, error: str | None = None) -> None:
        """One was rebuilt; or could not be, and why."""
        with self._hive.store.write() as db:
            query = "update fan_outs set ok = ?, note = ? where agent = ? and owner = ?"
            if db.execute(query, (error is None, error, name, self._owner)).rowcount:
                _tell(db, [], [_told(name, error is None, error)])

    def close(self) -> None:
        """Nobody is rebuilt any more; what became of those who were stays."""
        with self._hive.store.write() as db:
            query = "delete from fan_outs where owner = ? and ok is null returning agent"
            _tell(db, [row["agent"] for row in db.execute(query, (self._owner,)).fetchall()], [])


def _tell(db: sqlite3.Connection, gone: list[str], rows: list[dict[str, Any]]) -> None:
    if gone or rows:
        emit(db, "fan_out_changed", gone=gone, rows=rows)


def notice(names: Sequence[str]) -> str:
    """What to say of those who are stale, and what is to be done."""
    who = ", ".join(names) if len(names) <= 3 else count(len(names), "agent")
    were, them = ("was", "it") if len(names) == 1 else ("were", "them")
    return f"{who} {were} built with another hive than there is now; `hive update --stale` rebuilds {them}"
