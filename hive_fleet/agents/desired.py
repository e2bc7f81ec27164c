"""What the operator wants of an agent: that it runs, that it is stopped, or that it rests until the next `hive up`."""

from __future__ import annotations

import sqlite3

from hive_agent import MANAGER
from hive_core.context import Hive
from hive_fleet.agents import harness_state, table

RUNNING, STOPPED, RESTING = "running", "stopped", "resting"


def wanted(hive: Hive, name: str) -> bool:
    """Whether the operator wants this agent to run. Raises NotFound."""
    with hive.store.read() as db:
        return bool(table.one(db, name)["desired"] == RUNNING)


def names(db: sqlite3.Connection, *states: str) -> list[str]:
    """The agents that the operator wants to be in one of these states, the manager first, then by name."""
    marks = ", ".join("?" * len(states))
    query = f"select name from agents where desired in ({marks}) order by name != ?, name"  # noqa: S608
    return [row["name"] for row in db.execute(query, (*states, MANAGER))]


def want(db: sqlite3.Connection, name: str, state: str) -> None:
    """Record what the operator wants of an agent, and forget what its harness last said. Raises NotFound."""
    table.one(db, name)
    record(db, name, state)
    harness_state.forget_all_but_login(db, name)


def record(db: sqlite3.Connection, name: str, state: str) -> None:
    """Record what the operator wants of an agent; a restart that was due is cancelled, and so is one after a halt."""
    db.execute("update agents set desired = ?, restart_at = null, halted = 0 where name = ?", (state, name))
