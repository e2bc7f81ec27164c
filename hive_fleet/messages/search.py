"""Messages found again: the newest ones, those with words in them, and one by what somebody knows it by."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Iterable

from hive_fleet.messages.messages import SYSTEM, fitting
from hive_fleet.messages.readers import key_of

# How many hits of a search are ranked, the newest first: to rank all of a million takes most of a second.
RANKED = 2000

_ALL = "order by id"
_SAID = f"indexed by messages_said where sender != '{SYSTEM}' order by id"
_GOT = "where recipient_key = (select key from readers where name = ?) order by recipient_number"
_HITS = """
    select docid, matchinfo(messages_search, 'pcly') as found from messages_search
    where {column} match ? order by docid desc limit ?
"""
_SIZE = "select id, length(body) as size from messages where id = ?"


def newest_messages(db: sqlite3.Connection, most: int, *, inbox: str | None, system: bool = False) -> list[sqlite3.Row]:
    """The newest messages, the newest first, as far as they fit into one answer.

    inbox: whose; None for everybody's. system: of everybody's also what the system has told.
    """
    which, values = (_ALL if system else _SAID, ()) if inbox is None else (_GOT, (inbox,))
    query = f"select id, length(body) as size from messages {which} desc limit ?"  # noqa: S608
    return _rows(db, fitting(db.execute(query, (*values, most))))


def with_words(db: sqlite3.Connection, words: str, most: int, *, reader: str | None) -> list[sqlite3.Row]:
    """The messages in which all of these words occur, the best first, as far as they fit into one answer.

    reader: the agent that has sent or got them; None for everybody's.
    """
    key = "" if reader is None else _prefix(db, reader)
    phrases = [] if key is None else [phrase for word in words.split() if (phrase := _phrase(db, key, word))]
    if not phrases:
        return []
    query = _HITS.format(column="body" if reader is None else "own")
    hits = db.execute(query, (" ".join(phrases), RANKED)).fetchall()
    best = [(hit["docid"],) for hit in _ranked(hits)[:most]]
    return _rows(db, fitting(db.execute(_SIZE, id).fetchone() for id in best))


def by_id(db: sqlite3.Connection, id: int) -> sqlite3.Row | None:
    """The message that the operator knows by this id."""
    row: sqlite3.Row | None = db.execute("select * from messages where id = ?", (id,)).fetchone()
    return row


def known_to(db: sqlite3.Connection, name: str, id: int) -> sqlite3.Row | None:
    """The message that an agent knows by this id of its own."""
    for side in ("sender", "recipient"):
        query = f"select * from messages where {side}_key = (select key from readers where name = ?)"  # noqa: S608
        row: sqlite3.Row | None = db.execute(f"{query} and {side}_number = ?", (name, id)).fetchone()
        if row is not None:
            return row
    return None


def _rows(db: sqlite3.Connection, ids: Iterable[int]) -> list[sqlite3.Row]:
    return [row for id in ids if (row := by_id(db, id)) is not None]


def _prefix(db: sqlite3.Connection, name: str) -> str | None:
    """What an agent's words begin with in the index; None for one that has neither sent nor got anything."""
    key = key_of(db, name)
    return None if key is None else f"k{key}z"


def _phrase(db: sqlite3.Connection, prefix: str, word: str) -> str:
    """A word as the index knows it, which may be several (`well-known`); '' for one that is none.

    It is taken apart as the messages are, so that nothing of it is read as a query's language.
    """
    tokens = [row["token"] for row in db.execute("select token from messages_words where input = ?", (word,))]
    more = "*" if word.endswith("*") else ""
    return f'"{" ".join(f"{prefix}{token}" for token in tokens)}{more}"' if tokens else ""


def _ranked(hits: list[sqlite3.Row]) -> list[sqlite3.Row]:
    """The hits, the best first; of equal ones the newest.

    How long and how frequent is usual is judged by these hits alone. Each of them has all the words, so how rare a
    word is makes no difference between them: `total` only has to be more than twice their number.
    """
    from sqlite_fts4 import decode_matchinfo, rank_bm25

    found = {hit["docid"]: decode_matchinfo(hit["found"]) for hit in hits}
    average = sum(info[2] for info in found.values()) // max(1, len(found))

    def rank(hit: sqlite3.Row) -> float:
        count, _columns, length, _other, *times = found[hit["docid"]]
        # For each word: how often in this column and in the other one.
        each = [number for word in range(count) for number in (max(times[2 * word : 2 * word + 2]), 0, len(found))]
        total = 4 * len(found) + 4
        return float(rank_bm25(struct.pack(f"@{5 + len(each)}I", count, 1, total, average, length, *each)))

    return sorted(hits, key=lambda hit: (rank(hit), -hit["docid"]))
