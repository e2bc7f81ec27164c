"""Messages and questions that nobody needs any more: old ones that were read or answered, and those of agents that were
purged.

What is undelivered is never old. What was handed out and not acknowledged may be handed out again: it counts as read
when it has been in its reader's hand for as long.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from hive_core.caller import THE_OPERATOR
from hive_core.context import Hive
from hive_core.store import Store
from hive_fleet.messages.messages import SYSTEM
from hive_fleet.messages.questions import CANCELLED, one, resolve

_AT_ONCE = 1000
_READ = "delivered_at is not null and (acknowledged_at is not null or delivered_at < :before)"
_OLD = f"select id, sent_at < :before and {_READ} as old from messages where id > :after order by id limit :most"  # noqa: S608
_ANSWERED = """
    select id, answered_at is not null and answered_at < :before as old from questions where id > :after
    order by id limit :most
"""
# Of an agent that was purged nothing but its key is left, which is never used again. Asked key by key: each is one
# step in an index, however many messages there are.
_NEXT_KEY = "select min({side}_key) from messages where {side}_key > ?"
_GONE = "select 1 from readers where key = ?"
_SENT = f"select id from messages where sender_key = :key and {_READ} and id > :after order by id limit :most"  # noqa: S608
_GOT = "select id from messages where recipient_key = :key and id > :after order by id limit :most"
_FORGOTTEN = f"""
    select id from questions
    where (asker_number is null and asker != '{THE_OPERATOR.name}')
        or (target_number is null and target != '{THE_OPERATOR.name}')
    order by id
"""  # noqa: S608


def old_messages(store: Store, before: float) -> Iterator[int]:
    """The ids of the messages that were sent before a moment and have been read. before: unix seconds.

    All are looked at, some at a time: their order is that of their ids, not that of the clock.
    """
    return _old(store, _OLD, before)


def old_questions(store: Store, before: float) -> Iterator[int]:
    """The ids of the questions that were answered, expired or cancelled before a moment, as `old_messages`."""
    return _old(store, _ANSWERED, before)


def _old(store: Store, query: str, before: float) -> Iterator[int]:
    after = 0
    while rows := _fetched(store, query, before=before, after=after, most=_AT_ONCE):
        yield from (row["id"] for row in rows if row["old"])
        after = rows[-1]["id"]


def messages_of_the_purged(store: Store, before: float) -> Iterator[int]:
    """The ids of the messages that agents have sent or got which were purged since, as far as they have been read."""
    for side, query in (("sender", _SENT), ("recipient", _GOT)):
        for key in _keys_of_the_purged(store, side):
            after = 0
            while rows := _fetched(store, query, key=key, before=before, after=after, most=_AT_ONCE):
                yield from (row["id"] for row in rows)
                after = rows[-1]["id"]


def _keys_of_the_purged(store: Store, side: str) -> list[int]:
    keys, key = [], 0
    with store.read() as db:
        while (found := db.execute(_NEXT_KEY.format(side=side), (key,)).fetchone()[0]) is not None:
            key = int(found)
            if db.execute(_GONE, (key,)).fetchone() is None:
                keys.append(key)
    return keys


def _fetched(store: Store, query: str, **values: float) -> list[sqlite3.Row]:
    with store.read() as db:
        return db.execute(query, values).fetchall()


def forget_messages(db: sqlite3.Connection, ids: list[int], before: float) -> int:
    """Remove messages in the caller's transaction, unless they wait again, or for somebody; returns how many."""
    gone = "recipient_key is not null and recipient_key not in (select key from readers)"
    query = f"delete from messages where id = :id and (({_READ}) or ({gone}))"  # noqa: S608
    return db.executemany(query, [{"id": id, "before": before} for id in ids]).rowcount


def measure_messages(db: sqlite3.Connection, ids: list[int]) -> int:
    """The bytes of these messages' bodies."""
    size = "select length(cast(body as blob)) from messages where id = ?"
    return sum(int(row[0]) for id in ids for row in db.execute(size, (id,)))


def questions_of_the_purged(store: Store) -> list[int]:
    """The ids of the questions that agents have put or were put which were purged since."""
    with store.read() as db:
        return [int(row["id"]) for row in db.execute(_FORGOTTEN)]


def forget_questions(hive: Hive, db: sqlite3.Connection, ids: list[int]) -> int:
    """Remove questions in the caller's transaction; one that still waits is cancelled before, and its asker told."""
    for id in ids:
        row = one(db, id)
        if row["answered_at"] is None:
            resolve(hive, db, row, CANCELLED, SYSTEM)
        db.execute("delete from questions where id = ?", (id,))
    return len(ids)


def measure_questions(db: sqlite3.Connection, ids: list[int]) -> int:
    """The bytes of these questions, with their options and answers."""
    size = "select length(cast(question || options || coalesce(answer, '') as blob)) from questions where id = ?"
    return sum(int(row[0]) for id in ids for row in db.execute(size, (id,)))


def merge_words(db: sqlite3.Connection, blocks: int, segments: int) -> bool:
    """Bring the index of words in order, in the caller's transaction, a little of it; whether there is more to do.

    Each transaction leaves a segment in it; where sixteen have come together SQLite merges them all at once, which may
    take seconds. segments: how many are to have come together before they are merged here.
    """
    before = db.total_changes
    merge = f"merge={blocks:d},{segments:d}"
    db.execute("insert into messages_search (messages_search) values (?)", (merge,))
    # SQLite says so (sqlite.org/fts3.html#mergecmd): below two, nothing was left to be done.
    return db.total_changes - before >= 2
