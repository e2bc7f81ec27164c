"""The database: whether it can be read, is whole, agrees with the clock, and what is left half-done."""

from __future__ import annotations

import time

from hive_core import database_file, repairs
from hive_core.context import Hive
from hive_core.events import newest_at
from hive_core.failed_repair import FailedRepair
from hive_core.human import ago, count, size, span
from hive_fleet.checkup.finding import Examination, Finding, Findings

# Bytes of a database that is read through: a larger one takes too long.
READ_THROUGH = 256 * 1024 * 1024
# Seconds that an event may lie ahead of the clock; and a moment before which no clock is right.
AHEAD, LONG_AGO = 60.0, 1.7e9


def _database(hive: Hive) -> Findings:
    """Whether it opens, has the schema of this hive, and is whole."""
    if not hive.settings.database.exists():
        yield Finding("database", None, f"{hive.settings.database} is not there yet", "what changes anything makes it")
        return
    space = database_file.space(hive.store)
    if space.total > READ_THROUGH:
        yield Finding("database", True, f"{size(space.total)}, not read through: it is too large for that")
    else:
        with hive.store.read() as db:
            wrong = [str(row[0]) for row in db.execute("pragma quick_check(3)") if row[0] != "ok"]
        todo = "`hive restore DIR`, or `hive adopt`" if wrong else ""
        yield Finding("database", not wrong, "; ".join(wrong) or f"{size(space.total)}, whole", todo)
    if not space.gives:
        said = "the database's file cannot become smaller before it was rewritten once"
        yield Finding("database", None, said, "hive vacuum --rewrite")


def _clock(hive: Hive) -> Findings:
    """Whether the clock goes on from where it was when the last event happened."""
    now = time.time()
    with hive.store.read() as db:
        last = newest_at(db)
    ahead = 0.0 if last is None else last - now
    if now < LONG_AGO or ahead > AHEAD:
        behind = f"the last event happened {span(ahead)} from now" if ahead > AHEAD else "it is long ago by this clock"
        yield Finding("clock", False, behind, "set the clock, and have it kept (timedatectl set-ntp true)")
    else:
        yield Finding("clock", True, time.strftime("%Y-%m-%d %H:%M:%S %Z", time.localtime(now)))


def _repairs(hive: Hive) -> Findings:
    """What was left half-done and could not be mended: why, and when it is tried again."""
    failed: dict[str, FailedRepair] = {}
    if hive.settings.database.exists():
        with hive.store.read() as db:
            failed = repairs.all_failed(hive, db)
    if not failed:
        yield Finding("repairs", True, "nothing is left half-done")
    for repair in failed.values():
        tried = f"tried {count(repair.tries, 'time')} in {ago(repair.since)}"
        left = span(repair.due_at - hive.clock())
        yield Finding("repairs", False, f"{repair.what}: {repair.error} ({tried}; again in {left})")


CHECKS = (Examination("database", _database), Examination("clock", _clock), Examination("repairs", _repairs))
