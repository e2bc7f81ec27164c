"""The inbox of an agent: what waits in it, what is in its hand, what was acknowledged.

A message is *delivered* when it is handed out, and *acknowledged* when the turn that got it has ended. What was
delivered and not acknowledged can be put back; it is handed out again, marked as delivered before.
"""

from __future__ import annotations

import sqlite3
import time
from itertools import takewhile

from hive_core.events import emit
from hive_fleet.messages.messages import SYSTEM, Message, fitting

# Unread messages are counted up to here.
MOST_COUNTED = 1000

_WAITING = """
    select id, sender, length(body) as size from messages indexed by messages_waiting
    where recipient = ? and delivered_at is null order by id limit ?
"""
_CLAIM = "update messages set delivered_at = ?, deliveries = deliveries + 1 where id = ? returning *"
# What was handed out and not acknowledged.
_IN_HAND = (
    "messages indexed by messages_unacknowledged {set}"
    " where recipient = ? and delivered_at is not null and acknowledged_at is null"
)
_UNREAD_OF = (
    "select count(*) from messages indexed by messages_unread"
    " where recipient = ? and sender = ? and delivered_at is null"
)


def has_mail(db: sqlite3.Connection, name: str) -> bool:
    """Whether a message waits in the inbox."""
    return db.execute(_WAITING, (name, 1)).fetchone() is not None


def take(db: sqlite3.Connection, name: str, most: int, size: int = 0) -> list[Message]:
    """Hand out the oldest messages, at most `most`, as far as they fit into one answer.

    size: bytes that are in the answer already.
    """
    return _hand_out(db, name, fitting(db.execute(_WAITING, (name, most)), size))


def take_told(db: sqlite3.Connection, name: str, most: int, size: int) -> list[Message]:
    """Hand out what the system has told before anybody else wrote, at most `most` messages and `size` bytes."""
    rows = db.execute(_WAITING, (name, most)).fetchall()
    told = takewhile(lambda row: row["sender"] == SYSTEM, rows)
    return _hand_out(db, name, fitting(told, most=size))


def _hand_out(db: sqlite3.Connection, name: str, ids: list[int]) -> list[Message]:
    taken = [db.execute(_CLAIM, (time.time(), id)).fetchone() for id in ids]
    for row in taken:
        fields = {"from": row["sender"], "to": name, "body": row["body"], "id": row["id"]}
        emit(db, "delivered", about=name, **fields)
    return [Message.from_row(row, name) for row in taken]


def is_in_hand(db: sqlite3.Connection, name: str) -> bool:
    """Whether anything was delivered to the agent that it has not acknowledged."""
    query = f"select 1 from {_IN_HAND.format(set='')} limit 1"  # noqa: S608
    return db.execute(query, (name,)).fetchone() is not None


def acknowledge(db: sqlite3.Connection, name: str) -> None:
    """Note that everything that was delivered has been dealt with."""
    db.execute(f"update {_IN_HAND.format(set='set acknowledged_at = ?')}", (time.time(), name))


def put_back(db: sqlite3.Connection, name: str) -> None:
    """Have everything wait again that was delivered and not acknowledged."""
    db.execute(f"update {_IN_HAND.format(set='set delivered_at = null')}", (name,))


def unread(db: sqlite3.Connection, name: str) -> int:
    """How many messages wait in the inbox, counted up to MOST_COUNTED."""
    query = (
        "select count(*) from (select 1 from messages indexed by messages_waiting"
        " where recipient = ? and delivered_at is null limit ?)"
    )
    return int(db.execute(query, (name, MOST_COUNTED)).fetchone()[0])


def unread_of(db: sqlite3.Connection, name: str, sender: str) -> int:
    """How many messages of one sender wait in the inbox."""
    return int(db.execute(_UNREAD_OF, (name, sender)).fetchone()[0])


def unread_questions_of(db: sqlite3.Connection, name: str, asker: str) -> int:
    """How many messages wait in the inbox by which the system tells of a question that the asker has put."""
    query = f"{_UNREAD_OF} and case when json_valid(body) then json_extract(body, '$.asker') end = ?"
    return int(db.execute(query, (name, SYSTEM, asker)).fetchone()[0])
