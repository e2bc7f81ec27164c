"""Restarts after a crash, where the agent's configuration asks for them: later each time, and not for ever."""

from __future__ import annotations

import sqlite3

from hive_cmds import lifecycle
from hive_cmds.messages import tell
from hive_core.context import Hive
from hive_core.errors import HiveError

# Seconds before the first restart of a row; doubled for each further crash, up to the longest.
FIRST, LONGEST = 1.0, 300.0
# So many crashes in a row are a loop, which only a person or the manager ends.
LOOP = 8
# An agent that ran this long without a crash begins a new row, in seconds.
QUIET = 600.0


def delay(crashes: int) -> float:
    """Seconds to wait after the n-th crash of a row."""
    return float(min(LONGEST, FIRST * 2 ** (crashes - 1)))


def note(hive: Hive, db: sqlite3.Connection, name: str, code: int | None) -> None:
    """Count a crash, in the transaction that tells of it.

    Its restart is due `delay` seconds later, unless its policy wants none for this exit code, or it is a loop.
    """
    row = db.execute("select restart, crashes, crashed_at from agents where name = ?", (name,)).fetchone()
    now = hive.clock()
    quiet = row["crashed_at"] is None or now - row["crashed_at"] > QUIET
    crashes = 1 if quiet else row["crashes"] + 1
    wanted = row["restart"] == "always" or (row["restart"] == "on-failure" and code != 0)
    db.execute(
        "update agents set crashes = ?, crashed_at = ?, restart_at = ? where name = ?",
        (crashes, now, now + delay(crashes) if wanted and crashes < LOOP else None, name),
    )
    if wanted and crashes == LOOP:
        tell(db, "crash_loop", name, note=f"crashed {crashes} times in a row; it is not restarted any more")


def perform(hive: Hive) -> None:
    """Restart every agent whose time has come."""
    with hive.store.read() as db:
        query = "select name from agents where restart_at <= ? and desired = 'running'"
        due = [row["name"] for row in db.execute(query, (hive.clock(),))]
    for name in due:
        # Forgotten first: an agent that cannot be started is not tried at every look.
        with hive.store.write() as db:
            db.execute("update agents set restart_at = null where name = ?", (name,))
        try:
            lifecycle.start(hive, name)
        except HiveError as error:
            hive.say(f"warning: {name} could not be restarted: {error}")


def soonest(hive: Hive, most: float) -> float:
    """Seconds until the next restart is due, at most `most`."""
    with hive.store.read() as db:
        first = db.execute("select min(restart_at) from agents where desired = 'running'").fetchone()[0]
    return most if first is None else max(0.0, min(most, first - hive.clock()))
