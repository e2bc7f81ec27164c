"""Durable events: every change of state leaves one, in the transaction of the change itself."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hive_core import wire
from hive_core.event_kinds import EVENT_KINDS
from hive_core.store import Connection

# Bytes that an event costs beside its own: its row, its place in the indexes, whoever is woken by it.
OVERHEAD = 1024


@dataclass(frozen=True, slots=True)
class Event:
    """One event. seq: its place in the one order of everything, never used twice. at: unix seconds."""

    seq: int
    at: float
    kind: str
    agent: str | None
    data: dict[str, Any]

    def wire(self) -> dict[str, Any]:
        """The event as every stream sends it: seq, kind, at (whole seconds), then the fields of its kind."""
        lacking = dict.fromkeys(EVENT_KINDS[self.kind].optional)
        return {"seq": self.seq, "kind": self.kind, "at": int(self.at), **lacking, **self.data}


def emit(db: sqlite3.Connection, kind: str, *, about: str | None = None, **fields: Any) -> int:
    """Add an event in the caller's transaction, and return its seq.

    about: the agent to file it under; by default the field `agent` or `name`.
    """
    if not db.in_transaction:
        raise AssertionError(f"the event {kind} was emitted outside the transaction of its change")
    if missing := [name for name in EVENT_KINDS[kind].fields if name not in fields]:
        raise AssertionError(f"the event {kind} lacks {missing}")
    agent = about or fields.get("agent") or fields.get("name")
    data = wire.line({name: value for name, value in fields.items() if value is not None})
    cursor = db.execute(
        "insert into events (at, kind, agent, data) values (?, ?, ?, ?)", (time.time(), kind, agent, data)
    )
    if EVENT_KINDS[kind].whole:
        db.execute("insert or replace into snapshots (kind, data) values (?, ?)", (kind, data))
    if isinstance(db, Connection):
        db.emitted += OVERHEAD + len(data)
    return int(cursor.lastrowid or 0)


def newest(db: sqlite3.Connection) -> int:
    """The seq of the newest event; the highest that was ever given where none is kept, 0 where none ever was."""
    given = "select seq from sqlite_sequence where name = 'events'"
    return int(db.execute(f"select coalesce((select max(seq) from events), ({given}), 0)").fetchone()[0])  # noqa: S608


def newest_at(db: sqlite3.Connection) -> float | None:
    """When the newest event happened, by the clock of then; None where none is kept."""
    row = db.execute("select at from events order by seq desc limit 1").fetchone()
    return None if row is None else float(row["at"])


def newest_of(db: sqlite3.Connection, kinds: Sequence[str]) -> int:
    """The seq of the newest event of these kinds; 0 where none is kept."""
    query = "select coalesce(max(seq), 0) from events where kind = ?"
    return max(int(db.execute(query, (kind,)).fetchone()[0]) for kind in kinds)


def last_told(db: sqlite3.Connection, kind: str) -> dict[str, Any] | None:
    """What the newest event of a kind that tells the whole said; None where there has been none."""
    row = db.execute("select data from snapshots where kind = ?", (kind,)).fetchone()
    return None if row is None else dict(json.loads(row["data"]))


def agents_of(db: sqlite3.Connection, kinds: Sequence[str], seq: int) -> set[str]:
    """The agents that the events of these kinds after `seq` are about."""
    query = f"select agent from events where seq > ? and kind in ({', '.join('?' * len(kinds))})"  # noqa: S608
    return {row["agent"] for row in db.execute(query, (seq, *kinds))}


def since(
    db: sqlite3.Connection, seq: int, kinds: Iterable[str] = (), limit: int = 100, *, agents: Iterable[str] = ()
) -> Iterator[Event]:
    """The events after `seq`, oldest first, at most `limit`; only of these `kinds`, and about these `agents`, where any
    are named."""
    chosen, about = list(kinds), list(agents)
    clause = f"and kind in ({', '.join('?' * len(chosen))})" if chosen else ""
    # By their order, not by the index of agents: what was read already is not read again for the next page.
    clause += f" and +agent in ({', '.join('?' * len(about))})" if about else ""
    # Only question marks are put in.
    query = f"select seq, at, kind, agent, data from events where seq > ? {clause} order by seq limit ?"  # noqa: S608
    for row in db.execute(query, (seq, *chosen, *about, limit)):
        yield _from_row(row)


def tell_of(db: sqlite3.Connection, agent: str) -> bool:
    """Whether any event is about this agent."""
    return db.execute("select 1 from events where agent = ? limit 1", (agent,)).fetchone() is not None


def newest_about(db: sqlite3.Connection, agent: str, kind: str, limit: int) -> Iterator[Event]:
    """The newest events of a kind that are about an agent, the newest first, at most `limit`."""
    query = (
        "select seq, at, kind, agent, data from events indexed by events_about where agent = ? and kind = ?"
        " order by seq desc limit ?"
    )
    for row in db.execute(query, (agent, kind, limit)):
        yield _from_row(row)


def before_newest(db: sqlite3.Connection, most: int, kinds: Sequence[str] = ()) -> int:
    """The seq after which the newest `most` events come; of these `kinds` alone, where any are named."""
    clause = f"where kind in ({', '.join('?' * len(kinds))})" if kinds else ""
    query = f"select min(seq) from (select seq from events {clause} order by seq desc limit {most:d})"  # noqa: S608
    first = db.execute(query, kinds).fetchone()[0]
    return 0 if first is None else int(first) - 1


def before_newest_about(db: sqlite3.Connection, most: int, agents: Iterable[str], kinds: Iterable[str] = ()) -> int:
    """The seq after which the newest `most` events come that are about these agents; of these `kinds` alone, where any
    are named."""
    chosen = list(kinds) or EVENT_KINDS
    newest_of_each = (newest_about(db, agent, kind, most) for agent in agents for kind in chosen)
    seqs = sorted((event.seq for events in newest_of_each for event in events), reverse=True)[:most]
    return seqs[-1] - 1 if seqs else newest(db)


def before_moment(db: sqlite3.Connection, at: float) -> int:
    """The seq after which the events come that were told at this moment, in unix seconds, or later."""
    first, last = 0, newest(db)
    while first < last:
        middle = (first + last + 1) // 2
        row = db.execute("select seq, at from events where seq <= ? order by seq desc limit 1", (middle,)).fetchone()
        if row is None or row["at"] < at:
            first = middle
        else:
            last = row["seq"] - 1
    return first


def before_newest_but(
    db: sqlite3.Connection, most: int, kinds: Sequence[str], unlike: tuple[str, str], *, among: int
) -> int | None:
    """The seq after which the newest `most` of the newest `among` events come that are of none of these `kinds`.

    unlike: a kind, and a pattern of SQL's for the data of those of its events that are left out too.
    None when nothing is left.
    """
    query = f"""
        select min(seq) from (
            select seq from (select seq, kind, data from events order by seq desc limit {among:d})
            where kind not in ({", ".join("?" * len(kinds))}) and not (kind = ? and data like ?)
            order by seq desc limit {most:d}
        )
    """  # noqa: S608
    first = db.execute(query, (*kinds, *unlike)).fetchone()[0]
    return None if first is None else int(first) - 1


def heads(db: sqlite3.Connection, seq: int, limit: int = 100) -> list[tuple[int, str, str | None]]:
    """The seq, kind and agent of the events after `seq`. Their data, which may be long, is not read."""
    query = "select seq, kind, agent from events where seq > ? order by seq limit ?"
    return [(row["seq"], row["kind"], row["agent"]) for row in db.execute(query, (seq, limit))]


def _from_row(row: sqlite3.Row) -> Event:
    return Event(row["seq"], row["at"], row["kind"], row["agent"], json.loads(row["data"]))
