"""Who is stale: built with another revision of hive than the input `hive` would have, were it moved now."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from hive_core.context import Hive
from hive_core.errors import HiveError
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
    rows = db.execute("select agent, owner from fan_outs").fetchall()
    alive = {owner: Owner.from_json(owner).alive() for owner in {row["owner"] for row in rows}}
    return frozenset(row["agent"] for row in rows if alive[row["owner"]])


@contextmanager
def rebuilding(hive: Hive, names: Iterable[str]) -> Iterator[FanOut]:
    """Have these agents known as those that are going to be rebuilt, each until it was, all until the block ends."""
    fan_out = FanOut(hive)
    fan_out.choose(names)
    try:
        yield fan_out
    finally:
        fan_out.choose([])


class FanOut:
    """Who a fan-out of this process is still going to rebuild. When the process dies, nobody any more."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._owner = Owner.current().to_json()

    def choose(self, names: Iterable[str]) -> None:
        """Make it these, instead of those before."""
        with self._hive.store.write() as db:
            db.execute("delete from fan_outs where owner = ?", (self._owner,))
            rows = [(name, self._owner) for name in names]
            db.executemany("insert or replace into fan_outs values (?, ?)", rows)

    def done(self, name: str) -> None:
        """One was rebuilt, or could not be."""
        with self._hive.store.write() as db:
            db.execute("delete from fan_outs where agent = ? and owner = ?", (name, self._owner))


def notice(names: Sequence[str]) -> str:
    """What to say of those who are stale, and what is to be done."""
    who = ", ".join(names) if len(names) <= 3 else count(len(names), "agent")
    were, them = ("was", "it") if len(names) == 1 else ("were", "them")
    return f"{who} {were} built with another hive than there is now; `hive update --stale` rebuilds {them}"
