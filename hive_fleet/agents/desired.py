"""What the operator wants of an agent: that it runs, that it is stopped."""

from __future__ import annotations

import sqlite3

from hive_core.context import Hive
from hive_fleet.agents import table


def wanted(hive: Hive, name: str) -> bool:
    """Whether the operator wants this agent to run."""
    with hive.store.read() as db:
        return bool(table.one(db, name)["desired"] == "running")


def want(db: sqlite3.Connection, name: str, desired: str) -> None:
    """Record what the operator wants of an agent: 'running' or 'stopped'."""
    table.one(db, name)
    db.execute("update agents set desired = ?, restart_at = null where name = ?", (desired, name))
    # What the harness of an earlier start said is over; that it needs a login is not.
    db.execute("update agents set state = null, status_text = null where name = ? and state != 'needs_login'", (name,))
