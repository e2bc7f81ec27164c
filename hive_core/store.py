"""The database: one SQLite file in WAL mode that every process opens; a change is a transaction."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from hive_core import change, migrations
from hive_core.errors import Refused
from hive_core.locks import file_lock
from hive_core.signals import deferring

# How long a writer waits for another's transaction. Transactions here take milliseconds; whoever
# waits this long has found a stopped process, and is told so by SQLite.
BUSY_SECONDS = 60.0


class Connection(sqlite3.Connection):
    """A thread's connection. emitted: bytes of events that were added through it, each with its overhead."""

    emitted = 0


class _Owner:
    """Closes a thread's connection when the thread ends: Python then lets go of what is the thread's own, in it."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def __del__(self) -> None:
        self._db.close()


class Store:
    """Connections to the database, one per thread, opened at first use.

    Each commit is synced to the disk (synchronous=FULL), so what was acknowledged survives a power cut.
    """

    def __init__(self, path: Path, steps: Mapping[str, str] = migrations.STEPS) -> None:
        self.path = path
        self._steps = steps
        self._local = threading.local()
        self._writing = threading.Lock()
        self._bell: int | None = None

    @property
    def bell(self) -> Path:
        """The file that every commit writes a byte to, after it: what `Wake` waits on."""
        return self.path.with_name(f"{self.path.name}-bell")

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent view of everything, for as long as the block runs.

        Where there is no database yet it is an empty one in memory: to look at a hive makes none.
        """
        if getattr(self._local, "db", None) is None and self._is_absent():
            with closing(self._empty()) as db:
                yield db
            return
        db = self.connection()
        if db.in_transaction:
            yield db
            return
        with deferring(), _transaction(db, "begin"):
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A change: committed whole when the block ends, undone when it raises.

        A write inside a write of the same thread joins it, so that a change made of several
        functions, and the events that tell of it, stay one transaction. Nothing slow or foreign belongs in it: see
        change.py, which refuses that.
        """
        db = self.connection()
        if db.in_transaction:
            yield db
            return
        with deferring(), self._turn(), change.under_way(), _transaction(db, "begin immediate"):
            yield db
        self._ring()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Be the one thread of this process that writes.

        SQLite has a writer look again whether it may, ever less often: among busy threads that starves one of them.
        Who got no turn in time asks SQLite all the same, which knows what to say of whoever holds it up.
        """
        held = self._writing.acquire(timeout=BUSY_SECONDS)
        try:
            yield
        finally:
            if held:
                self._writing.release()

    def _ring(self) -> None:
        """Wake whoever waits for a commit. Waiting on the log alone is not enough: it is written before it counts."""
        try:
            if self._bell is None:
                self._bell = os.open(self.bell, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            os.pwrite(self._bell, b"!", 0)
        except OSError:
            return  # On a full disk. What is committed is committed; that the log was written wakes them, too.

    def connection(self) -> Connection:
        """This thread's connection, in autocommit, with the schema up to date."""
        db: Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = self._opened()
            self._local.owner = _Owner(db)
        return db

    def _is_absent(self) -> bool:
        try:
            self.path.stat()
        except FileNotFoundError:
            return True
        except OSError:
            return False  # Something is there that cannot be used: opening it says what.
        return False

    def _empty(self) -> Connection:
        db = _connect(":memory:")
        migrations.apply(db, self._steps)
        return db

    def _opened(self) -> Connection:
        """A connection. Raises Refused for a file that is no database of SQLite's, or a damaged one."""
        try:
            return self._open()
        except OSError as error:
            raise Refused(
                f"{self.path.parent} cannot be used as HIVE_HOME: {error.strerror} ({error.filename}).",
                "Name a folder that you may write, or that can be made.",
            ) from error
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorname not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
                raise
            raise Refused(f"{self.path} is damaged: {error}.", "Put a copy of it back.") from error

    def _open(self) -> Connection:
        if self.path.exists():
            db = _connect(self.path)
            with _closed_on_error(db):
                if migrations.up_to_date(db, self._steps):
                    return db
            db.close()
        # Making the file, switching it to WAL and changing its schema are not safe to do twice at
        # once (SQLite answers "database is locked" without waiting), so one process does it.
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file_lock(self.path.with_suffix(".lock"), "opening the database", say=_briefly):
            os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            db = _connect(self.path)
            with _closed_on_error(db):
                db.execute("pragma journal_mode = wal")
                migrations.apply(db, self._steps)
        return db

    def close(self) -> None:
        """Close this thread's connection."""
        db: Connection | None = getattr(self._local, "db", None)
        if db is not None:
            self._local.db = None
            db.close()


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
        db.commit()
    except BaseException:
        # Also after a commit that found the disk full: the next transaction must not join what is left of this one.
        db.rollback()
        raise


def _briefly(_text: str) -> None:
    """Nobody needs to be told that they wait for this: it takes milliseconds."""


def _connect(path: Path | str) -> Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, factory=Connection)
    with _closed_on_error(db):
        db.row_factory = sqlite3.Row
        db.execute("pragma synchronous = full")
        db.execute("pragma foreign_keys = on")
    return db


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise
