"""Repairs: what mends a half-done thing. One that fails stops nobody: it is told once, kept, and tried again later."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hive_agent.back_off import pause_after
from hive_core import disk
from hive_core.errors import HiveError
from hive_core.events import emit
from hive_core.failed_repair import FailedRepair
from hive_core.locks import Busy

if TYPE_CHECKING:
    from hive_core.context import Hive

# Seconds between the first two tries; each further pause is twice as long, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 10.0, 3600.0
LONGEST_ERROR = 2000


def attempt(hive: Hive, what: str, agent: str, mend: Callable[[], object]) -> FailedRepair | None:
    """Run a repair; what it fails with is kept, and returned. Raises Busy alone: then somebody else is at it.

    Whatever goes wrong in one repair (a full disk, no descriptors, a damaged repository, a bug of ours) belongs to
    that repair. `mend` has to call `done` in the transaction that makes it unnecessary.
    """
    try:
        mend()
    except Busy:
        raise
    except Exception as error:  # noqa: BLE001 - it is kept, and shown by `hive doctor`
        return _keep(hive, what, agent, _reason(error))
    return None


def done(hive: Hive, db: sqlite3.Connection, what: str) -> bool:
    """Forget, in the caller's transaction, that a repair had failed; whether it had."""
    told = hive.unwritten.pop(what, None) is not None
    return bool(db.execute("delete from repairs where what = ?", (what,)).rowcount) or told


def all_failed(hive: Hive, db: sqlite3.Connection) -> dict[str, FailedRepair]:
    """Every repair that has failed and is still to be made, by what it is."""
    kept = {row["what"]: FailedRepair(*row) for row in db.execute("select * from repairs order by since")}
    return kept | hive.unwritten


def by_agent(hive: Hive, db: sqlite3.Connection) -> dict[str, list[FailedRepair]]:
    """The repairs that have failed, by the agent whose they are."""
    found: dict[str, list[FailedRepair]] = {}
    for failed in all_failed(hive, db).values():
        found.setdefault(failed.agent, []).append(failed)
    return found


def _keep(hive: Hive, what: str, agent: str, error: str) -> FailedRepair:
    """Remember a failure. Where the database cannot be written, this process alone does, so as not to say it twice."""
    now = hive.clock()
    before = _before(hive, what)
    failed = FailedRepair(what, agent, error, now, now, 1, now + FIRST_PAUSE)
    if before is not None:
        tries = before.tries + 1
        due_at = now + pause_after(tries, FIRST_PAUSE, LONGEST_PAUSE)
        failed = failed._replace(since=before.since, tries=tries, due_at=due_at)
    new = before is None or before.error != error
    try:
        with hive.store.write() as db:
            columns = (what, agent, error, failed.since, failed.tried_at, failed.tries, failed.due_at)
            db.execute("insert or replace into repairs values (?, ?, ?, ?, ?, ?, ?)", columns)
            if new:
                emit(db, "repair_failed", agent=agent, repair=what, note=error)
        hive.unwritten.pop(what, None)
    except (sqlite3.Error, OSError, HiveError):
        hive.unwritten[what] = failed
    if new:
        hive.say(f"warning: what was left half-done of {agent} ({what}) could not be mended: {error}")
    return failed


def _before(hive: Hive, what: str) -> FailedRepair | None:
    if what in hive.unwritten:
        return hive.unwritten[what]
    try:
        with hive.store.read() as db:
            return all_failed(hive, db).get(what)
    except (sqlite3.Error, OSError, HiveError):
        return None  # Of what cannot be read nothing is known: this counts as the first time.


def _reason(error: Exception) -> str:
    """Why a repair failed, for a person; of a bug of ours also where."""
    known = error if isinstance(error, HiveError) else disk.refusal(error)
    if known is not None:
        return known.message[:LONGEST_ERROR]
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename or 'The system'}: {error.strerror}."[:LONGEST_ERROR]
    import traceback

    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {error} ({Path(place.filename).name}, line {place.lineno})"[:LONGEST_ERROR]
