"""The inbox: messages handed out, acknowledged, put back.

A message is *delivered* when it was handed out, and *acknowledged* when the turn it was handed to has ended. What was
delivered and not acknowledged is put back by `nack` and handed out again, marked. Both are synced to the disk.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from typing import Annotated

from hive_core.arguments import Also, whole
from hive_core.context import Hive
from hive_core.events import emit
from hive_core.operation import CONTAINERS, EVERYONE, Caller, operation
from hive_fleet.messages.messages import SYSTEM, Message, from_row, unread

# Bytes of bodies in one answer; a single message always fits.
MOST_TAKEN = 4 * 1024 * 1024
# Messages handed out in one transaction: others write in between.
AT_ONCE = 100
# What of the system's one turn is given at once: so many messages, and bytes.
MOST_TOGETHER, TOGETHER_BYTES = 50, 64 * 1024

Wait = Annotated[int, whole(0, 180, "the time to wait in seconds", "SECONDS"), Also("wait_seconds")]
Limit = Annotated[int, whole(1, 1000, "the limit", "N")]


@dataclass(frozen=True, slots=True)
class Received:
    """What `recv` handed out, and how many messages still wait."""

    messages: list[Message]
    unread: int

    def text(self) -> str:
        shown = "\n\n".join(message.summary() for message in self.messages) or "No message waits for you."
        return shown + (f"\n\n{self.unread} more" if self.unread else "")


@operation(callers=EVERYONE, group="Messages", parks="wait")
def recv(
    hive: Hive,
    wait: Wait = 30,  # noqa: ARG001  (read by whoever parks it)
    limit: Limit = 1,
    together: bool = False,
) -> Received:
    """Take the oldest messages of your inbox; with none there, wait for one.

    wait: seconds to wait for a message, at most 180
    limit: how many to take at the most
    together: when the first is from `system`, take all that it has told you up to the next message of somebody else
    """
    me = hive.caller.name
    with hive.store.read() as db:
        if not db.execute(_WAITING, (me, 1)).fetchone():
            return Received([], 0)
    if together and (told := _take_told(hive)):
        return told
    taken: list[Message] = []
    while True:
        room = min(limit - len(taken), AT_ONCE)
        with hive.store.write() as db:
            more = _take(db, me, room, sum(len(message.body) for message in taken))
            if hive.caller.caller is Caller.OPERATOR:
                _acknowledge(db, me)
            left = unread(db, me)
        taken += more
        if len(more) < room or len(taken) == limit:
            return Received(taken, left)


def _take(db: sqlite3.Connection, me: str, most: int, size: int) -> list[Message]:
    """Hand out so many messages at the most. size: bytes that are in the answer already."""
    return _claim(db, me, fitting(db.execute(_WAITING, (me, most)), size))


def _claim(db: sqlite3.Connection, me: str, chosen: list[int]) -> list[Message]:
    return [_hand_out(db, db.execute(_CLAIM, (time.time(), number)).fetchone(), me) for number in chosen]


_WAITING = """
    select id, sender, length(body) as size from messages indexed by messages_waiting
    where recipient = ? and delivered_at is null order by id limit ?
"""
# What was handed out and not acknowledged.
_IN_HAND = (
    "messages indexed by messages_unacknowledged {set}"
    " where recipient = ? and delivered_at is not null and acknowledged_at is null"
)
_CLAIM = "update messages set delivered_at = ?, deliveries = deliveries + 1 where id = ? returning *"


def _take_told(hive: Hive) -> Received | None:
    """What the system has told first of all that waits: what happened at once wakes once. None for another's message.

    It is little, so that one transaction hands it out.
    """
    me = hive.caller.name
    with hive.store.write() as db:
        rows = db.execute(_WAITING, (me, MOST_TOGETHER)).fetchall()
        told = takewhile(lambda row: row["sender"] == SYSTEM, rows)
        taken = _claim(db, me, fitting(told, most=TOGETHER_BYTES))
        if taken and hive.caller.caller is Caller.OPERATOR:
            _acknowledge(db, me)
        return Received(taken, unread(db, me)) if taken else None


def fitting(rows: Iterable[sqlite3.Row], size: int = 0, most: int = MOST_TAKEN) -> list[int]:
    """The ids of the first of these messages that fit into one answer together; no more of them are read.

    size: bytes that are in the answer already. most: bytes that fit.
    """
    chosen: list[int] = []
    for row in rows:
        if (chosen or size) and size + row["size"] > most:
            break
        size += row["size"]
        chosen.append(int(row["id"]))
    return chosen


def _hand_out(db: sqlite3.Connection, row: sqlite3.Row, reader: str) -> Message:
    fields = {"from": row["sender"], "to": row["recipient"], "body": row["body"]}
    emit(db, "delivered", about=row["recipient"], **fields)
    return from_row(row, reader)


@operation(callers=CONTAINERS, group="Messages", tool=False)
def ack(hive: Hive) -> None:
    """Acknowledge everything that was delivered to you: the turn that it went to has ended well."""
    if _in_hand(hive):
        with hive.store.write() as db:
            _acknowledge(db, hive.caller.name)


def _acknowledge(db: sqlite3.Connection, name: str) -> None:
    db.execute(f"update {_IN_HAND.format(set='set acknowledged_at = ?')}", (time.time(), name))


@operation(callers=CONTAINERS, group="Messages", tool=False)
def nack(hive: Hive) -> None:
    """Put back what was delivered to you and not acknowledged: the turn that it went to has died."""
    if _in_hand(hive):
        with hive.store.write() as db:
            db.execute(f"update {_IN_HAND.format(set='set delivered_at = null')}", (hive.caller.name,))


def _in_hand(hive: Hive) -> bool:
    """Whether anything was delivered to the caller that it has not acknowledged."""
    query = f"select 1 from {_IN_HAND.format(set='')} limit 1"  # noqa: S608
    with hive.store.read() as db:
        return db.execute(query, (hive.caller.name,)).fetchone() is not None
