"""The table of agents: who there is, and what hive remembers of each.

What the operator wants of an agent (desired.py), what its harness has said (harness_state.py) and when it is restarted
(restarts.py) are columns of the same table.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from hive_core.errors import NotFound


def names(db: sqlite3.Connection) -> list[str]:
    """Every agent that has a container, by name."""
    return [row["name"] for row in db.execute("select name from agents order by name")]


def find(db: sqlite3.Connection, name: str) -> sqlite3.Row | None:
    """The agent's row; None where there is no such agent."""
    row: sqlite3.Row | None = db.execute("select * from agents where name = ?", (name,)).fetchone()
    return row


def is_there(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is such an agent."""
    return find(db, name) is not None


def one(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    """The agent's row. Raises NotFound."""
    row = find(db, name)
    if row is None:
        raise not_found(db, name)
    return row


def not_found(db: sqlite3.Connection, name: str) -> NotFound:
    """What to say of an agent that is not there: with the name that was probably meant."""
    import difflib

    close = difflib.get_close_matches(name, names(db), n=1)
    guess = f"Did you mean {close[0]!r}? " if close else ""
    return NotFound(
        f"There is no agent {name!r}.", f"{guess}`hive list` shows the agents, `hive tombstones` the destroyed ones."
    )


def users(db: sqlite3.Connection) -> dict[str, int | None]:
    """The user that each agent's processes run as, by name; None where hive is not root."""
    return {row["name"]: row["uid"] for row in db.execute("select name, uid from agents")}


def runners(db: sqlite3.Connection) -> dict[str, str]:
    """What each agent runs, by name: the runner of the configuration that it was last built with."""
    return {row["name"]: row["runner"] for row in db.execute("select name, runner from agents order by name")}


def given_variables(row: sqlite3.Row) -> frozenset[str]:
    """The variables that an agent's configuration gives its CLI something by."""
    return frozenset(json.loads(row["given"]))


def allowed_recipients(db: sqlite3.Connection, name: str) -> list[str]:
    """Whom an agent's configuration lets it write to; '*' is everybody. One that is not there may write to nobody."""
    row = find(db, name)
    allowed: list[str] = json.loads(row["allowed_recipients"]) if row else []
    return allowed


def add(
    db: sqlite3.Connection, name: str, *, uid: int | None, desired: str, created_at: float, parent: str | None = None
) -> None:
    """Give a new agent its row. desired: what the operator wants of it. parent: the agent that asked for it."""
    db.execute(
        "insert into agents (name, uid, desired, parent, created_at) values (?, ?, ?, ?, ?)",
        (name, uid, desired, parent, created_at),
    )


def remove(db: sqlite3.Connection, name: str) -> bool:
    """Remove an agent's row; whether it had one."""
    return bool(db.execute("delete from agents where name = ?", (name,)).rowcount)


def record_build(
    db: sqlite3.Connection,
    name: str,
    *,
    base: str | None,
    runner: str,
    restart: str,
    given: Iterable[str],
    recipients: Sequence[str],
    stuck_minutes: int | None = None,
) -> None:
    """Remember what an agent was built with: the revision of hive, and what its configuration says."""
    db.execute(
        "update agents set hive_rev = ?, runner = ?, restart = ?, crashes = 0, given = ?, allowed_recipients = ?,"
        " stuck_minutes = ? where name = ?",
        (base, runner, restart, json.dumps(sorted(given)), json.dumps(recipients), stuck_minutes, name),
    )


def built_with_another(db: sqlite3.Connection, base: str | None) -> list[str]:
    """The agents that were built with another revision of hive than this, by name."""
    query = "select name from agents where hive_rev is not null and hive_rev != ? order by name"
    return [row["name"] for row in db.execute(query, (base,))]
