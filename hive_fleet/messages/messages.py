"""Messages: each is put into one inbox; what the system tells agents goes the same way."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hive_agent import MANAGER
from hive_core import wire
from hive_core.caller import Role
from hive_core.context import Hive
from hive_core.events import emit
from hive_core.human import ago
from hive_core.text import indented
from hive_fleet.messages import readers

SYSTEM = "system"
# Bytes of bodies in one answer; a single message always fits.
MOST_IN_ANSWER = 4 * 1024 * 1024
# Messages, and bytes of their bodies, that are removed in one transaction.
MOST_REMOVED, BYTES_REMOVED = 500, 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One message. at: unix seconds when it was sent. redelivered: it was handed out before, to a turn that died."""

    id: int
    sender: str
    recipient: str
    body: str
    at: int
    redelivered: bool

    @classmethod
    def from_row(cls, row: sqlite3.Row, reader: str) -> Message:
        """The message of a row, with the id that this reader knows it by."""
        known = readers.known_as(row, reader, "recipient", "sender")
        return cls(known, row["sender"], row["recipient"], row["body"], int(row["sent_at"]), row["deliveries"] > 1)

    def wire(self) -> dict[str, Any]:
        """The message as sockets and tools show it."""
        return {
            "id": self.id,
            "from": self.sender,
            "to": self.recipient,
            "body": self.body,
            "at": self.at,
            "redelivered": self.redelivered,
        }

    def text(self) -> str:
        mark = ", delivered before" if self.redelivered else ""
        head = f"{self.id}: {self.sender} to {self.recipient}, {ago(self.at)} ago{mark}"
        return f"{head}\n{indented(in_words(self.sender, self.body))}"


def in_words(sender: str, body: str) -> str:
    """A body as a person reads it: what the system tells is JSON, and becomes a line for each field."""
    if sender != SYSTEM or not body.startswith("{"):
        return body
    return "\n".join(_field(name, value) for name, value in json.loads(body).items())


def _field(name: str, value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"{name}:\n{indented(text)}" if "\n" in text else f"{name}: {text}"


def fitting(rows: Iterable[sqlite3.Row], size: int = 0, most: int = MOST_IN_ANSWER) -> list[int]:
    """The ids of the first of these messages that fit into one answer together; no more of them are read.

    rows: of each its id and size. size: bytes that are in the answer already. most: bytes that fit.
    """
    chosen: list[int] = []
    for row in rows:
        if (chosen or size) and size + row["size"] > most:
            break
        size += row["size"]
        chosen.append(int(row["id"]))
    return chosen


def post(db: sqlite3.Connection, sender: str, recipient: str, body: str) -> int:
    """Put a message into an inbox in the caller's transaction, with its event; returns what the sender knows it by."""
    now = time.time()
    cursor = db.execute(
        "insert into messages (sender, recipient, body, sent_at) values (?, ?, ?, ?)", (sender, recipient, body, now)
    )
    fields = {"from": sender, "to": recipient, "body": body, "id": cursor.lastrowid}
    emit(db, "sent", about=recipient, **fields, at=int(now))
    numbered = "select coalesce(sender_number, id) from messages where id = ?"
    return int(db.execute(numbered, (cursor.lastrowid,)).fetchone()[0])


def kick(db: sqlite3.Connection, name: str, what: str) -> None:
    """Wake an agent after something was done to it, unless the same message waits already: one turn is enough."""
    body = f"You were {what}. See your state folder for notes; your session continues."
    waiting = (
        "select 1 from messages indexed by messages_unread"
        " where recipient = ? and sender = ? and body = ? and delivered_at is null"
    )
    if db.execute(waiting, (name, SYSTEM, body)).fetchone() is None:
        post(db, SYSTEM, name, body)


def tell(hive: Hive, db: sqlite3.Connection, event: str, agent: str, **fields: Any) -> None:
    """Tell the manager that something happened to an agent, and put the same on the event stream.

    fields: sha, tag, note and the like; those that are None are left out.
    """
    tell_manager(hive, db, event, agent=agent, **fields)
    emit(db, event, agent=agent, **fields)


def tell_manager(hive: Hive, db: sqlite3.Connection, event: str, **fields: Any) -> None:
    """Put a system message, JSON with the field `event`, into the manager's inbox.

    Of what the manager has called itself it is not told: it has the answer, and being woken would cost it a turn.
    """
    if hive.caller.role is not Role.MANAGER:
        tell_one(db, MANAGER, event, **fields)


def tell_one(db: sqlite3.Connection, name: str, event: str, **fields: Any) -> None:
    """Put a system message into somebody's inbox."""
    known = {field: value for field, value in fields.items() if value is not None}
    post(db, SYSTEM, name, wire.line({"event": event, **known}))


def shrink_inbox(hive: Hive, name: str) -> None:
    """Remove what was ever sent to an agent, a little in each transaction: however much it is, others write in between.

    What comes meanwhile is left to `forget_inbox`.
    """
    while True:
        with hive.store.write() as db:
            chosen = fitting(db.execute(_SENT_TO, (name, MOST_REMOVED)), most=BYTES_REMOVED)
            db.executemany("delete from messages where id = ?", [(number,) for number in chosen])
        if not chosen:
            return


_SENT_TO = """
    select id, length(body) as size from messages
    where recipient_key = (select key from readers where name = ?) order by recipient_number limit ?
"""


def forget_inbox(db: sqlite3.Connection, name: str) -> None:
    """Remove all that was ever sent to an agent, in the caller's transaction: another of its name must not read it."""
    db.execute("delete from messages where recipient_key = (select key from readers where name = ?)", (name,))
    readers.forget(db, name)
    emit(db, "inbox_forgotten", name=name)
