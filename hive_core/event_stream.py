"""The history as a stream: whether it can be gone on with after a seq, and the next events of it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from hive_core.events import Event, newest
from hive_core.old_events import forgotten

# Events, and bytes of their data, that are read at once; a single event always fits.
MOST_EVENTS, MOST_EVENT_BYTES = 200, 512 * 1024
# After these an event alone does not tell how everything is: rows were removed, or taken back from elsewhere.
BREAKS = frozenset({"inbox_forgotten", "vacuumed", "adopted", "restored"})


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some events in order, none left out. end: the seq up to which it tells everything of the kinds asked for.

    known: whether the history still holds all that came after the seq it was asked for; then only are there events.
    """

    events: list[Event]
    end: int
    known: bool = True


def is_kept(db: sqlite3.Connection, seq: int) -> bool:
    """Whether every event after `seq` is still there, and `seq` is a number of this database's history."""
    lost = forgotten(db)
    if seq < lost:
        return False
    if (lost and seq == lost) or db.execute("select 1 from events where seq = ?", (seq,)).fetchone():
        return True
    oldest = db.execute("select min(seq) from events").fetchone()[0]
    return bool(seq == (newest(db) if oldest is None else oldest - 1))


def stretch(db: sqlite3.Connection, seq: int, kinds: Iterable[str] = ()) -> Stretch:
    """The next events after `seq`, so many as are read at once; only of these `kinds` where any are named."""
    if not is_kept(db, seq):
        return Stretch([], newest(db), known=False)
    chosen = list(kinds)
    clause = f"and kind in ({', '.join('?' * len(chosen))})" if chosen else ""
    # Only question marks are put in.
    query = f"select seq, at, kind, agent, data from events where seq > ? {clause} order by seq limit ?"  # noqa: S608
    found: list[Event] = []
    size = 0
    for row in db.execute(query, (seq, *chosen, MOST_EVENTS)):
        if found and size + len(row["data"]) > MOST_EVENT_BYTES:
            break
        size += len(row["data"])
        found.append(Event(row["seq"], row["at"], row["kind"], row["agent"], json.loads(row["data"])))
    else:
        if len(found) < MOST_EVENTS:
            return Stretch(found, newest(db))
    return Stretch(found, found[-1].seq)
