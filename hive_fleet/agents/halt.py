"""The halt: everything is stopped, and nothing is started, from `hive estop` on until `hive resume --all`."""

from __future__ import annotations

import sqlite3

from hive_agent import MANAGER
from hive_core.errors import Refused
from hive_core.human import ago
from hive_fleet.agents import desired


def begin(db: sqlite3.Connection, at: float) -> list[str]:
    """Halt the fleet, in the caller's transaction; the agents that are to be stopped by it, until it is lifted."""
    names = desired.names(db, desired.RUNNING, desired.RESTING)
    db.execute("insert or ignore into halts (one, at) values (1, ?)", (at,))
    for name in names:
        _stop(db, name)
    return names


def lift(db: sqlite3.Connection) -> bool:
    """Let agents be started again, in the caller's transaction; whether there was a halt."""
    return bool(db.execute("delete from halts").rowcount)


def since(db: sqlite3.Connection) -> float | None:
    """When the fleet was halted, in unix seconds; None where it is not."""
    row = db.execute("select at from halts").fetchone()
    return None if row is None else float(row["at"])


def held_back(db: sqlite3.Connection) -> list[str]:
    """The agents that only the halt has stopped, the manager first, then by name."""
    query = "select name from agents where halted order by name != ?, name"
    return [row["name"] for row in db.execute(query, (MANAGER,))]


def heed(db: sqlite3.Connection, name: str) -> None:
    """Have a new agent, which is to run, wait for the end of a halt, in the transaction that makes its row."""
    if since(db) is not None:
        _stop(db, name)


def refuse(db: sqlite3.Connection) -> None:
    """Raises Refused while the fleet is halted."""
    at = since(db)
    if at is not None:
        raise Refused(
            f"Nothing is started: `hive estop` has stopped everything {ago(at)} ago.",
            "`hive resume --all` starts what ran then, and lets everything be started again.",
        )


def _stop(db: sqlite3.Connection, name: str) -> None:
    desired.want(db, name, desired.STOPPED)
    db.execute("update agents set halted = 1 where name = ?", (name,))
