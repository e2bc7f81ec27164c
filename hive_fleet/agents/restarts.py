"""When an agent is restarted after a crash, if its configuration asks for that: later each time, and not for ever.

The watch carries the restarts out.
"""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from hive_agent.back_off import pause_after
from hive_core.context import Hive

# Seconds before the first restart in a row of crashes; doubled for each further crash, up to the longest.
FIRST, LONGEST = 1.0, 300.0
# This many crashes in a row are a loop: only a person or the manager starts the agent again.
LOOP = 8
# After this many seconds without a crash, the next crash is the first of a new row.
QUIET = 600.0


class Outlook(NamedTuple):
    """What follows a crash. at: when the agent is restarted, in unix seconds, or None. loop: it is given up."""

    at: float | None
    loop: bool
    crashes: int


def delay(crashes: int) -> float:
    """Seconds to wait after the n-th crash of a row."""
    return pause_after(crashes, FIRST, LONGEST)


def in_loop(row: sqlite3.Row) -> bool:
    """Whether this agent was given up: it has crashed too often in a row, and no restart is due."""
    return bool(row["crashes"] >= LOOP and row["restart_at"] is None)


def note(hive: Hive, db: sqlite3.Connection, name: str, code: int | None, *, told: bool = True) -> Outlook:
    """Count a crash, in the transaction that tells of it.

    The restart is due `delay` seconds later, unless the agent's policy wants none for this exit code, or it is a loop.
    An end that wants no restart ends the row. told: whether the manager hears of the crash, and so of the restart.
    """
    row = db.execute("select restart, crashes, crashed_at from agents where name = ?", (name,)).fetchone()
    now = hive.clock()
    quiet = row["crashed_at"] is None or now - row["crashed_at"] > QUIET
    wanted = row["restart"] == "always" or (row["restart"] == "on-failure" and code != 0)
    crashes = 0 if not wanted else 1 if quiet else row["crashes"] + 1
    at = now + delay(crashes) if wanted and crashes < LOOP else None
    db.execute(
        "update agents set crashes = ?, crashed_at = ?, restart_at = ?, restart_told = ? where name = ?",
        (crashes, now, at, told, name),
    )
    return Outlook(at, crashes >= LOOP, crashes)


def forget(db: sqlite3.Connection, name: str) -> None:
    """Begin a new row of crashes, in the caller's transaction: somebody has looked after the agent and starts it."""
    db.execute("update agents set crashes = 0, crashed_at = null, restart_at = null where name = ?", (name,))


def take_due(hive: Hive) -> list[str]:
    """The agents whose restart is due. Each is taken once: one that cannot be started is not tried at every look."""
    # A restart that is further away than any delay was planned before somebody set the clock back: it is due, too.
    query = "select name from agents where (restart_at <= ? or restart_at > ?) and desired = 'running'"
    now = hive.clock()
    with hive.store.read() as db:
        due = [row["name"] for row in db.execute(query, (now, now + LONGEST))]
    for name in due:
        with hive.store.write() as db:
            db.execute("update agents set restart_at = null where name = ?", (name,))
    return due


def give_back(hive: Hive, name: str) -> None:
    """Make a restart that was taken, and not carried out, due again."""
    query = "update agents set restart_at = ? where name = ? and desired = 'running' and restart_at is null"
    with hive.store.write() as db:
        db.execute(query, (hive.clock(), name))


def soonest(hive: Hive, most: float) -> float:
    """Seconds until the next restart is due, at most `most`."""
    with hive.store.read() as db:
        first = db.execute("select min(restart_at) from agents where desired = 'running'").fetchone()[0]
    return most if first is None else max(0.0, min(most, first - hive.clock()))
