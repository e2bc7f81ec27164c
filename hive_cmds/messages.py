"""Messages: what is put into inboxes, by whom, and what the system tells the manager."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

from hive_core import wire
from hive_core.events import emit
from hive_core.settings import MANAGER

SYSTEM = "system"


def post(db: sqlite3.Connection, sender: str, recipient: str, body: str) -> int:
    """Put a message into an inbox in the caller's transaction, with its event; returns its id."""
    now = time.time()
    cursor = db.execute(
        "insert into messages (sender, recipient, body, sent_at) values (?, ?, ?, ?)", (sender, recipient, body, now)
    )
    emit(db, "sent", about=recipient, **{"from": sender, "to": recipient, "body": body})
    return int(cursor.lastrowid or 0)


def kick(db: sqlite3.Connection, name: str, what: str) -> None:
    """Wake an agent after something was done to it."""
    post(db, SYSTEM, name, f"You were {what}. See your state folder for notes; your session continues.")


def tell(db: sqlite3.Connection, event: str, agent: str, **fields: Any) -> None:
    """Tell the manager that something happened to an agent, and put the same on the event stream.

    fields: sha, tag, note and the like; those that are None are left out.
    """
    tell_manager(db, event, agent=agent, **fields)
    emit(db, event, agent=agent, **fields)


def tell_manager(db: sqlite3.Connection, event: str, **fields: Any) -> None:
    """Put a system message, JSON with the field `event`, into the manager's inbox."""
    known = {name: value for name, value in fields.items() if value is not None}
    post(db, SYSTEM, MANAGER, wire.line({"event": event, **known}))
