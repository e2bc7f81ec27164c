"""When an agent is restarted after a crash, if its configuration asks for that: later each time.

The watch carries the restarts out. After so many crashes in a row that it is a loop, the next try is hours away, in
case that what it lacks comes back; a person or the manager who starts it ends the row.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from hive_agent.back_off import pause_after
from hive_core.context import Hive
from hive_core.human import span
from hive_fleet.agents.ends import RunEnd

# Seconds before the first restart in a row of crashes; doubled for each further crash, up to the longest.
FIRST, LONGEST = 1.0, 300.0
# This many crashes in a row are a loop; and the seconds before the next try then, doubled in the same way.
LOOP = 8
LOOP_FIRST, LOOP_LONGEST = 3600.0, 86400.0
# The crash of a run that was longer than this, in seconds, is the first of a new row.
QUIET = 600.0
# Crashes are remembered for a day, so many of them; those of the last hour are told as how often it crashes lately.
REMEMBERED, MOST_REMEMBERED, LATELY = 86400.0, 20, 3600.0


class Crash(NamedTuple):
    """A crash as it is remembered."""

    at: float
    cause: str


class Outlook(NamedTuple):
    """What follows a crash. at: when the agent is restarted, in unix seconds, or None. loop: it crashes in a loop.

    row: the crashes of the row, oldest first, this one among them. lately: how many there were in the last hour.
    """

    at: float | None
    loop: bool
    row: list[Crash]
    lately: int


def delay(crashes: int) -> float:
    """Seconds to wait after the n-th crash of a row."""
    if crashes < LOOP:
        return pause_after(crashes, FIRST, LONGEST)
    return pause_after(crashes - LOOP + 1, LOOP_FIRST, LOOP_LONGEST)


def in_loop(row: sqlite3.Row) -> bool:
    """Whether this agent has crashed too often in a row to be restarted soon."""
    return bool(row["crashes"] >= LOOP)


def remembered(row: sqlite3.Row, now: float) -> list[Crash]:
    """The agent's newest crashes, oldest first."""
    return [Crash(at, cause) for at, cause in json.loads(row["crash_log"]) if now - at <= REMEMBERED]


def note(hive: Hive, db: sqlite3.Connection, name: str, end: RunEnd, *, told: bool = True) -> Outlook:
    """Count a crash, in the transaction that tells of it.

    The restart is due `delay` seconds later, unless the agent's policy wants none for this exit code. An end that wants
    no restart ends the row; that the machine went down is nobody's crash. told: whether the manager hears of the crash,
    and so of the restart.
    """
    row = db.execute("select restart, crashes, crash_log from agents where name = ?", (name,)).fetchone()
    now = hive.clock()
    wanted = row["restart"] == "always" or (row["restart"] == "on-failure" and end.code != 0)
    before = 0 if end.ran is None or end.ran > QUIET else row["crashes"]
    crashes = 0 if not wanted else row["crashes"] if end.reason == "machine_down" else before + 1
    at = now + delay(max(crashes, 1)) if wanted else None
    known = [*remembered(row, now), Crash(now, end.cause)][-MOST_REMEMBERED:]
    db.execute(
        "update agents set crashes = ?, crashed_at = ?, crash_log = ?, restart_at = ?, restart_told = ? where name = ?",
        (crashes, now, json.dumps(known), at, told, name),
    )
    return Outlook(at, crashes >= LOOP, known[-crashes:] if crashes else [], len(lately(known, now)))


def lately(known: list[Crash], now: float) -> list[Crash]:
    """Those of the last hour."""
    return [crash for crash in known if 0 <= now - crash.at <= LATELY]


def explained(found: list[Crash]) -> str:
    """How often an agent has crashed, and of what: '8 crashes in 2 min: 7 x exit code 3, out of memory'."""
    causes: dict[str, int] = {}
    for crash in found:
        causes[crash.cause] = causes.get(crash.cause, 0) + 1
    words = [cause if number == 1 else f"{number} x {cause}" for cause, number in causes.items()]
    within = span(found[-1].at - found[0].at) if len(found) > 1 else ""
    number = "1 crash" if len(found) == 1 else f"{len(found)} crashes"
    return f"{number}{f' in {within}' if within else ''}: {', '.join(words)}"


def forget(db: sqlite3.Connection, name: str) -> None:
    """Begin a new row of crashes, in the caller's transaction: somebody has looked after the agent and starts it."""
    db.execute("update agents set crashes = 0, crashed_at = null, restart_at = null where name = ?", (name,))


def take_due(hive: Hive) -> list[str]:
    """The agents whose restart is due. Each is taken once: one that cannot be started is not tried at every look."""
    # A restart that is further away than any delay was planned before somebody set the clock back: it is due, too.
    query = """
        select name from agents
        where desired = 'running' and (restart_at <= ? or restart_at > ? + iif(crashes >= ?, ?, ?))
    """
    now = hive.clock()
    with hive.store.read() as db:
        found = db.execute(query, (now, now, LOOP, LOOP_LONGEST, LONGEST)).fetchall()
    due = [row["name"] for row in found]
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
