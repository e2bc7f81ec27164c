"""The table of agents: who there is, and what hive remembers of each."""

from __future__ import annotations

import json
import sqlite3

from hive_core.errors import NotFound


def names(db: sqlite3.Connection) -> list[str]:
    """Every agent that has a container, by name."""
    return [row["name"] for row in db.execute("select name from agents order by name")]


def one(db: sqlite3.Connection, name: str) -> sqlite3.Row:
    """The agent's row. Raises NotFound."""
    row: sqlite3.Row | None = db.execute("select * from agents where name = ?", (name,)).fetchone()
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


def given(row: sqlite3.Row) -> frozenset[str]:
    """The variables that an agent's configuration gives its CLI something by."""
    return frozenset(json.loads(row["given"]))


def runners(db: sqlite3.Connection) -> dict[str, str]:
    """Every agent that has a container, by name, with what carries out its turns."""
    return {row["name"]: row["runner"] for row in db.execute("select name, runner from agents order by name")}


def is_there(db: sqlite3.Connection, name: str) -> bool:
    """Whether there is such an agent."""
    return db.execute("select 1 from agents where name = ?", (name,)).fetchone() is not None


def allowed_recipients(db: sqlite3.Connection, name: str) -> list[str]:
    """Whom an agent's configuration lets it write to; `*` is everybody. Nobody, where there is no such agent."""
    row = db.execute("select allowed_recipients from agents where name = ?", (name,)).fetchone()
    return [] if row is None else [str(allowed) for allowed in json.loads(row["allowed_recipients"])]
