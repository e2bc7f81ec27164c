"""The database's file: how much of it is free, and that given back to the disk a little at a time.

Free pages are used again by whatever is written next, so a file that cannot become smaller is no trouble by itself.
One that was made by an older hive has to be rewritten once before it can: who writes waits meanwhile. It is done by
itself where that takes a moment, else when the operator says so.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from dataclasses import dataclass

from hive_core.errors import Refused
from hive_core.human import size
from hive_core.slices import Slicer, log_size
from hive_core.store import BUSY_SECONDS, Store

# Bytes that are rewritten without asking: some tenths of a second of a slow disk.
MOMENT_BYTES = 32 * 1024 * 1024
# A rewrite that takes longer is given up, before whoever waits for it is.
LONGEST_REWRITE = BUSY_SECONDS * 0.75
# Bytes that stay free in the file: they are used again at once.
KEPT_FREE = 1024 * 1024
# Slices in a row that may leave more free than there was before.
_PATIENCE = 100


@dataclass(frozen=True, slots=True)
class Space:
    """total: bytes of the file. free: those that hold nothing. gives: whether the file can be made smaller bit by bit.

    log: bytes of the write-ahead log.
    """

    total: int
    free: int
    gives: bool
    log: int


def space(store: Store) -> Space:
    """How the file stands."""
    with store.read() as db:
        numbers = {name: _pragma(db, name) for name in ("page_size", "page_count", "freelist_count", "auto_vacuum")}
    page = numbers["page_size"]
    return Space(
        total=numbers["page_count"] * page,
        free=numbers["freelist_count"] * page,
        gives=numbers["auto_vacuum"] != 0,
        log=log_size(store),
    )


def _pragma(db: sqlite3.Connection, name: str) -> int:
    return int(db.execute(f"pragma {name}").fetchone()[0])


def give_back(store: Store, slices: Slicer) -> int:
    """Give what is free in the file back to the disk, in slices; returns how many bytes."""
    before = now = space(store)
    if not now.gives:
        return 0
    vain = 0
    while now.free > KEPT_FREE and vain < _PATIENCE:
        slices.once(lambda pages: store.run_script(f"pragma incremental_vacuum({pages});"))
        last, now = now, space(store)
        # Meanwhile others may free more than is given back.
        vain = vain + 1 if now.free >= last.free else 0
    return before.total - now.total


def rewrite(store: Store, *, most: int | None = None) -> bool:
    """Rewrite the file so that it can become smaller from now on; whether it was.

    most: bytes beyond which nothing is done. Raises Refused where there is no room for it, or it takes too long.
    """
    now = space(store)
    held = now.total - now.free
    if now.gives or (most is not None and held > most):
        return False
    # A copy is made, and written into the log.
    room, needed = shutil.disk_usage(store.path.parent).free, 2 * held + KEPT_FREE
    if room < needed:
        raise Refused(f"Rewriting {store.path} needs {size(needed)}; {size(room)} are free.", "Make room first.")
    db, end = store.connection(), time.monotonic() + LONGEST_REWRITE
    db.set_progress_handler(lambda: time.monotonic() > end, 100_000)
    try:
        store.run_script("pragma auto_vacuum = incremental; vacuum;")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorname != "SQLITE_INTERRUPT":
            raise
        raise Refused(f"{store.path} was not rewritten: it takes longer than others wait.") from error
    finally:
        db.set_progress_handler(None, 0)
    return True


def by_table(store: Store, seconds: float) -> dict[str, int]:
    """The bytes that each table takes up with its indexes, the largest first; nothing where that takes too long."""
    with store.read() as db:
        end = time.monotonic() + seconds
        db.set_progress_handler(lambda: time.monotonic() > end, 1000)
        try:
            tables = {row["name"]: row["tbl_name"] for row in db.execute("select name, tbl_name from sqlite_master")}
            pages = db.execute("select name, sum(pgsize) as pgsize from dbstat group by name").fetchall()
        except sqlite3.OperationalError:
            return {}  # It took too long, or this SQLite was built without the means to tell.
        finally:
            db.set_progress_handler(None, 0)
    found: dict[str, int] = {}
    for row in pages:
        # What belongs to a virtual table is kept in tables of its name and one word more.
        name = tables.get(row["name"], row["name"])
        name = name.rpartition("_")[0] if name.rpartition("_")[0] in tables else name
        found[name] = found.get(name, 0) + int(row["pgsize"])
    return dict(sorted(found.items(), key=lambda each: -each[1]))
