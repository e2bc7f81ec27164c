"""Trims an agent's record of its turns: a program of its own, run by hive as the agent, in a sandbox, within bounds.

Its text alone is run, so it needs nothing but the standard library. What it reads is the agent's, who may have made
anything of it: whatever is wrong with it is said in one line of JSON, and costs that agent alone.

Usage: FOLDER BEFORE NEWEST DRY: the events of turns before that moment go (unix seconds), then all but so many.
"""

from __future__ import annotations

import json
import os
import sqlite3
import stat
import sys
import time
from contextlib import closing
from pathlib import Path

FILE = "events.sqlite"
# Rows in one transaction: the harness writes in between.
AT_ONCE = 500
# Seconds after which no further rows are removed; after which a query is broken off; that the harness is waited for.
LONGEST, BROKEN_OFF, PATIENCE = 20.0, 30.0, 2.0
# Bytes that a file may hold to be rewritten, so that it can become smaller; and that stay free in it.
REWRITTEN, KEPT_FREE = 16 * 1024 * 1024, 512 * 1024

_OLD = "seq in (select seq from turn_events where at < :before order by seq limit :most)"
_MANY = """
    seq in (select seq from turn_events
        where seq <= (select seq from turn_events order by seq desc limit 1 offset :newest) order by seq limit :most)
"""
# A turn is told of by its events: without any it goes, unless it is among the newest.
_TURNS = """
    id in (select id from turns where ended < :before
        and id <= (select id from turns order by id desc limit 1 offset :newest)
        and not exists (select 1 from turn_events where turn = turns.id) order by id limit :most)
"""


class Unfit(Exception):
    """The file is not what the harness writes."""


def main(folder: str, before: str, newest: str, dry: str) -> None:
    """Trim the record in a folder, and say what that came to."""
    told: dict[str, object]
    try:
        told = dict(trim(Path(folder), float(before), int(newest), dry=dry == "dry"))
    except (Unfit, sqlite3.Error, OSError) as error:
        told = {"trouble": f"{error}"[:300]}
    sys.stdout.write(json.dumps(told))


def trim(folder: Path, before: float, newest: int, *, dry: bool) -> dict[str, int]:
    """How many events and turns went, or would go, and the bytes that this gave back to the disk."""
    if not _is_there(folder):
        return {"events": 0, "turns": 0, "size": 0}
    file = folder / FILE
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=rw", uri=True, timeout=PATIENCE, isolation_level=None)) as db:
        begin = time.monotonic()
        db.set_progress_handler(lambda: time.monotonic() > begin + BROKEN_OFF, 10_000)
        # What a file brings along (triggers, views, defaults) must not call anything.
        db.execute("pragma trusted_schema = off")
        _require_fit(db)
        values = {"before": before, "newest": newest, "most": AT_ONCE}
        if dry:
            return {"events": _count(db, values), "turns": 0, "size": 0}
        size, end = _taken(file), begin + LONGEST
        events = _delete(db, "turn_events", _OLD, values, end) + _delete(db, "turn_events", _MANY, values, end)
        turns = _delete(db, "turns", _TURNS, values, end)
        _give_back(db, end)
        return {"events": events, "turns": turns, "size": max(0, size - _taken(file))}


def _taken(file: Path) -> int:
    """The bytes that a file takes up; holes, which an agent can make, take up none."""
    status = file.stat()
    return min(status.st_size, status.st_blocks * 512)


def _is_there(folder: Path) -> bool:
    """Whether there is a record. Raises Unfit for a link, a pipe or whatever else has one of its names."""
    for suffix in ("-wal", "-shm", ""):
        try:
            mode = os.lstat(f"{folder / FILE}{suffix}").st_mode
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(mode):
            raise Unfit(f"{FILE}{suffix} is no regular file")
        if not suffix:
            return True
    return False


def _require_fit(db: sqlite3.Connection) -> None:
    names = "('turns', 'turn_events')"
    kinds = [kind for (kind,) in db.execute(f"select type from sqlite_master where name in {names}")]  # noqa: S608
    if kinds != ["table", "table"]:
        raise Unfit("it has not the tables of a record")
    if db.execute(f"select 1 from sqlite_master where type = 'trigger' and tbl_name in {names}").fetchone():  # noqa: S608
        raise Unfit("it has triggers, which no record has")


def _count(db: sqlite3.Connection, values: dict[str, float]) -> int:
    query = """
        select count(*) from turn_events where at < :before
            or seq <= (select seq from turn_events order by seq desc limit 1 offset :newest)
    """
    return int(db.execute(query, values).fetchone()[0])


def _delete(db: sqlite3.Connection, table: str, which: str, values: dict[str, float], end: float) -> int:
    """Delete rows a little at a time, with as long a rest after each; what is left at the end goes the next time."""
    total = 0
    while (begin := time.monotonic()) < end:
        gone = db.execute(f"delete from {table} where {which}", values).rowcount  # noqa: S608
        total += gone
        if gone < AT_ONCE:
            return total
        time.sleep(min(1.0, time.monotonic() - begin))
    return total


def _give_back(db: sqlite3.Connection, end: float) -> None:
    """Give what is free in the file back to the disk, as much as there is time for."""
    page, free, count, mode = (
        int(db.execute(f"pragma {name}").fetchone()[0])
        for name in ("page_size", "freelist_count", "page_count", "auto_vacuum")
    )
    if free * page <= KEPT_FREE:
        return
    if mode:
        for _ in range(0, free, AT_ONCE):
            if time.monotonic() > end:
                break
            db.executescript(f"pragma incremental_vacuum({AT_ONCE});")
            time.sleep(0.01)
    elif (count - free) * page <= REWRITTEN:
        db.executescript("pragma auto_vacuum = incremental; vacuum;")
    # With a page that reads, the log stays as it is until the next time.
    db.executescript("pragma busy_timeout = 50; pragma wal_checkpoint(truncate);")


if __name__ == "__main__":
    main(*sys.argv[1:5])
