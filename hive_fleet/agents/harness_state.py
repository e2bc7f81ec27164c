"""What the harness of an agent said last, and what the operator chose for its next turn."""

from __future__ import annotations

import sqlite3

# What a harness says while a turn runs.
IN_TURN = ("thinking", "compacting")


def record(
    db: sqlite3.Connection,
    name: str,
    *,
    state: str,
    text: str | None,
    model: str | None,
    until: float | None,
    at: float,
) -> None:
    """Remember what a harness says it is doing. model: the one in use; None leaves the one that was said before."""
    db.execute(
        "update agents set state = ?, status_text = ?, active_model = coalesce(?, active_model), until = ?,"
        " status_set_at = ?, moved = null, stuck_at = null where name = ?",
        (state, text, model, until, at, name),
    )


def forget(db: sqlite3.Connection, name: str) -> None:
    """Forget all that the harness of an earlier build said."""
    db.execute(
        "update agents set state = null, status_text = null, active_model = null, until = null, moved = null,"
        " stuck_at = null where name = ?",
        (name,),
    )


def forget_all_but_login(db: sqlite3.Connection, name: str) -> None:
    """Forget what the harness of an earlier start said, unless that is that it needs a login."""
    db.execute("update agents set moved = null, stuck_at = null where name = ?", (name,))
    db.execute("update agents set state = null, status_text = null where name = ? and state != 'needs_login'", (name,))


def forget_login(db: sqlite3.Connection, name: str) -> None:
    """Forget that a harness said it needs a login; a stopped agent has no harness to take that back."""
    db.execute("update agents set state = null where name = ? and state = 'needs_login'", (name,))


def choose_model(db: sqlite3.Connection, name: str, model: str | None) -> None:
    """Have the next turn run with this model, or with the configuration's; which one that is, that turn tells."""
    db.execute("update agents set model = ?, active_model = null where name = ?", (model, name))


def pause(db: sqlite3.Connection, name: str, paused: bool) -> None:
    """Have the agent start no further turn, or have it start turns again."""
    db.execute("update agents set paused = ? where name = ?", (paused, name))
    if not paused:
        db.execute("update agents set status_text = null where name = ? and status_text = 'paused'", (name,))


def in_turn(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """The rows of the agents whose harness says that it is in a turn, by name."""
    marks = ", ".join("?" * len(IN_TURN))
    query = f"select * from agents where state in ({marks}) and desired = 'running' order by name"  # noqa: S608
    return db.execute(query, IN_TURN).fetchall()


def ready(db: sqlite3.Connection) -> list[sqlite3.Row]:
    """The rows of the agents whose harness says that it waits for a message and for nothing else, by name."""
    query = """
        select * from agents where state = 'idle' and coalesce(status_text, '') = '' and not paused
        and desired = 'running' order by name
    """
    return db.execute(query).fetchall()


def record_moved(db: sqlite3.Connection, name: str, moved: str | None) -> None:
    """Remember what was seen of an agent when it last moved, as JSON; None: nothing that could be compared with."""
    db.execute("update agents set moved = ? where name = ?", (moved, name))


def record_stuck(db: sqlite3.Connection, name: str, since: float | None) -> None:
    """Remember since when an agent's turn is stuck; None: it is not."""
    db.execute("update agents set stuck_at = ? where name = ?", (since, name))
