"""How a process hears of commits: from inotify, or, where its user has none left, by looking for itself."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from typing import Protocol

from hive_core.store import Store

# Seconds between two looks of whoever got no inotify.
PERIOD = 0.2
# The kernel's limits on a user (inotify(7)): of instances, which all of a plain user's agents share, and of watches.
_USED_UP = (errno.EMFILE, errno.ENFILE, errno.ENOSPC)


class Commits(Protocol):
    """What becomes readable around a commit. slow: whether that may be a moment after it."""

    slow: bool

    def fileno(self) -> int: ...

    def read(self) -> tuple[bool, bool]:
        """Forget what was signalled. Whether a commit is still to come; whether the database may be another file."""

    def close(self) -> None: ...


def commits_of(store: Store) -> Commits:
    """By inotify where that can be had."""
    try:
        return ByInotify(store)
    except OSError as error:
        if error.errno not in _USED_UP:
            raise
        # Where it is descriptors that are lacking the pipe in this cannot be had either, and that is what is raised.
        return ByLooking(store)


class ByInotify:
    """By inotify: on the bell that a commit rings, and on the write-ahead log."""

    slow = False

    def __init__(self, store: Store) -> None:
        from inotify_simple import INotify, flags

        self._inotify = INotify()
        try:
            self._bell = self._inotify.add_watch(str(store.bell), flags.MODIFY)
            self._inotify.add_watch(f"{store.path}-wal", flags.MODIFY)
            # The bell and the log of a file that is gone are nobody's any more.
            self._database = self._inotify.add_watch(str(store.path), flags.ATTRIB | flags.MOVE_SELF)
        except BaseException:
            self._inotify.close()
            raise

    def fileno(self) -> int:
        return int(self._inotify.fileno())

    def read(self) -> tuple[bool, bool]:
        signalled = {event.wd for event in self._inotify.read(timeout=0)}
        other = self._database in signalled
        signalled.discard(self._database)
        return bool(signalled) and self._bell not in signalled, other

    def close(self) -> None:
        self._inotify.close()


class ByLooking:
    """By a thread that asks SQLite every now and then whether anybody has committed."""

    slow = True

    def __init__(self, store: Store) -> None:
        self._store = store
        self._out, self._end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stop, self._looked = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._look, name="commits", daemon=True)
        self._thread.start()
        # What is committed from here on is signalled.
        self._looked.wait()

    def fileno(self) -> int:
        return self._out

    def read(self) -> tuple[bool, bool]:
        try:
            os.read(self._out, 4096)
        except BlockingIOError:
            return False, False
        return False, True

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        os.close(self._out)
        os.close(self._end)

    def _look(self) -> None:
        last = self._version()
        self._looked.set()
        while not self._stop.wait(PERIOD):
            now = self._version()
            # What cannot be looked at, its owner has to find out.
            if now is None or now != last:
                last = now
                self._signal()

    def _version(self) -> tuple[object, ...] | None:
        """What is another after every commit of anybody's, through a connection that itself commits nothing."""
        try:
            db = self._store.connection()
            return db.file, *db.execute("pragma data_version").fetchone()
        except (sqlite3.Error, OSError):
            return None

    def _signal(self) -> None:
        try:
            os.write(self._end, b"!")
        except BlockingIOError:
            return  # It is full of signals that nobody has read yet.
