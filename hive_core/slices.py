"""Much work on the database in slices so short that nobody who writes waits for more than a moment.

Each slice is a transaction. After it the database is left alone for as long as the slice took, so that whoever waits
gets in between: SQLite has a writer look again ever less often, and one that is busy without a pause starves it.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from typing import TypeVar

from hive_core.store import BUSY_SECONDS, Store

# Seconds that a slice is to take: it becomes larger or smaller by that.
HOLD = 0.02
# Items in the first slice, and in any.
FIRST, MOST = 50, 2000
# Bytes of the log beyond which it is begun anew.
LONGEST_LOG = 16 * 1024 * 1024

T = TypeVar("T")
OnItems = Callable[[sqlite3.Connection, list[int]], int]


class Slicer:
    """The slices of one piece of work. size: items in the next one. longest: seconds that the longest slice took."""

    def __init__(self, store: Store, rest: Callable[[float], None] = time.sleep) -> None:
        self._store, self._rest = store, rest
        self.size, self.longest, self._began = FIRST, 0.0, 0.0
        self._longest_log = LONGEST_LOG

    def each(self, items: Iterable[int], work: OnItems, between: Callable[[], None] | None = None) -> int:
        """Work on the items, some in each transaction; what `work` returns, added up.

        between: called after each of them.
        """
        left, done = iter(items), 0
        while chosen := list(islice(left, self.size)):
            while chosen:
                changed, part = self.once(partial(self._work, work, chosen))
                done += changed
                del chosen[:part]
                if between is not None:
                    between()
        return done

    def _work(self, work: OnItems, items: list[int], most: int) -> tuple[int, int]:
        part = items[:most]
        with self._store.write() as db:
            # How long it waited for others is not how long others wait for it.
            self._began = time.monotonic()
            return work(db, part), len(part)

    def once(self, step: Callable[[int], T]) -> T:
        """Do one slice: `step` is told how much it may be, and returns False where there was nothing to do.

        Where the disk is full it is done again with less. Raises what it fails with where even the least is too much.
        """
        while True:
            self._began = time.monotonic()
            try:
                done = step(self.size)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname != "SQLITE_FULL" or self.size == 1:
                    raise
                self.size = max(1, self.size // 4)
                checkpoint(self._store)
                continue
            self._took(time.monotonic() - self._began, worked=done is not False)
            self._shorten_log()
            return done

    def _shorten_log(self) -> None:
        """Keep the log short. SQLite itself does not while others write, which is all the time: it begins anew only
        where nothing was written since it was moved."""
        if log_size(self._store) > self._longest_log:
            shorten_log(self._store)
            self._longest_log = max(LONGEST_LOG, 2 * log_size(self._store))

    def _took(self, seconds: float, *, worked: bool) -> None:
        """Choose how large the next slice is by how long one has taken that did something, and let others in."""
        self.longest = max(self.longest, seconds)
        if seconds > HOLD:
            self.size = max(1, self.size // 2)
        elif seconds < HOLD / 2 and worked:
            self.size = min(MOST, self.size * 2)
        self._rest(max(HOLD, seconds))


def checkpoint(store: Store) -> None:
    """Move the log into the database as far as readers allow: the log is then written from its beginning again.

    It needs no room, so it makes some where the disk is full.
    """
    store.run_script("pragma wal_checkpoint(passive);")


def log_size(store: Store) -> int:
    """Bytes of the write-ahead log."""
    try:
        return store.path.with_name(f"{store.path.name}-wal").stat().st_size
    except FileNotFoundError:
        return 0


def shorten_log(store: Store) -> None:
    """Have the log begin anew with nothing in it; with somebody reading it, it stays as it is until the next time."""
    checkpoint(store)
    try:
        # What is left to be moved is little. Who writes waits for it, so it does not wait for readers for long.
        store.run_script(f"pragma busy_timeout = {int(HOLD * 1000)}; pragma wal_checkpoint(truncate);")
    finally:
        store.run_script(f"pragma busy_timeout = {int(BUSY_SECONDS * 1000)};")
