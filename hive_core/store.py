"""The database: one SQLite file in WAL mode that every process opens; a change is a transaction."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from hive_core import migrations
from hive_core.errors import Damaged, Outdated, Refused
from hive_core.locks import SERVING, file_lock, holder
from hive_core.signals import deferring
from hive_core.transaction import under_way

# How long a writer waits for another's transaction. Transactions here take milliseconds; whoever
# waits this long has found a stopped process, and is told so by SQLite.
BUSY_SECONDS = 60.0


# A file by its device and inode: what has the same path later may be another.
FileIdentity = tuple[int, int]


class Connection(sqlite3.Connection):
    """A thread's connection.

    emitted: bytes of events that were added through it, each with its overhead. worked: seconds of a processor in
    which it kept everybody else from writing. file: which file it has open.
    """

    emitted = 0
    worked = 0.0
    file: FileIdentity | None = None

    def __del__(self) -> None:
        """Close, rather than be found open: of what is let go of in a circle nobody knows what goes first."""
        # In another thread than its own Python closes it all the same, a moment later.
        with suppress(sqlite3.ProgrammingError):
            self.close()


class _Owner:
    """Closes a thread's connection when the thread ends: Python then lets go of what is the thread's own, in it."""

    def __init__(self, db: Connection) -> None:
        self._db = db

    def __del__(self) -> None:
        with suppress(sqlite3.ProgrammingError):
            self._db.close()


class Store:
    """Connections to the database, one per thread, opened at first use.

    Each commit is synced to the disk (synchronous=FULL), so what was acknowledged survives a power cut.

    locks: where those are that run for long; while one of an older hive does, the schema stays as it knows it.
    """

    def __init__(self, path: Path, steps: Mapping[str, str] = migrations.STEPS, locks: Path | None = None) -> None:
        self.path = path
        self._steps, self._locks = steps, locks
        self._local = threading.local()
        self._writing = threading.Lock()
        self._bell: int | None = None

    def __del__(self) -> None:
        if self._bell is not None:
            os.close(self._bell)

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
        with deferring(), self._naming_damage(), _transaction(db, "begin"):
            yield db

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A change: committed whole when the block ends, undone when it raises.

        A write inside a write of the same thread joins it, so that a change made of several functions, and the events
        that tell of it, stay one transaction. Nothing slow or foreign belongs in it: transaction.py refuses that.
        """
        db = self.connection()
        if db.in_transaction:
            yield db
            return
        begun = time.thread_time()
        try:
            with deferring(), self._turn(), self._naming_damage(), under_way(), _transaction(db, "begin immediate"):
                yield db
        finally:
            # To wait for others, or for the disk, takes no processor.
            db.worked += time.thread_time() - begun
        self._ring()

    def run_script(self, script: str) -> None:
        """Run statements that begin and end their own transactions: what SQLite does with its file. It wakes nobody."""
        with deferring(), self._turn(), self._naming_damage():
            self.connection().executescript(script)

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
        """This thread's connection, in autocommit, with the schema up to date.

        Another is opened when the file has been removed or replaced: what is written to the one before is lost.
        """
        db: Connection | None = getattr(self._local, "db", None)
        if db is not None and not db.in_transaction and db.file != self.file():
            self.close()
            self._local.replaced = self.replaced + 1
            # The bell may have gone with it.
            self._bell = None
            db = None
        if db is None:
            db = self._local.db = self._opened()
            self._local.owner = _Owner(db)
        return db

    @property
    def replaced(self) -> int:
        """How often this thread has found another file in place of its own. A new one may have an old one's inode."""
        return int(getattr(self._local, "replaced", 0))

    def _is_absent(self) -> bool:
        try:
            return self.file() is None
        except OSError:
            return False  # Something is there that cannot be used: opening it says what.

    def _empty(self) -> Connection:
        db = _connected(":memory:")
        db.deserialize(_blank(tuple(self._steps.items())))
        return db

    def file(self) -> FileIdentity | None:
        """The file that is the database now; None where there is none."""
        try:
            status = self.path.stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def _opened(self) -> Connection:
        """A connection. Raises Damaged for a file that is no database of SQLite's, or a damaged one; Refused."""
        try:
            with self._naming_damage():
                return self._open()
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                raise
            raise Refused(
                f"{self.path.parent} cannot be used as HIVE_HOME: {error.strerror} ({error.filename}).",
                "Name a folder that you may write, or that can be made.",
            ) from error

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            raise Damaged(
                f"{self.path} is damaged: {error}.",
                "`hive restore DIR` takes it from a backup; `hive adopt` sets it aside and begins a new one from what"
                " git and the containers tell.",
            ) from error

    def _open(self) -> Connection:
        if _size(self.path):
            db = _connect(self.path)
            with _closed_on_error(db):
                if migrations.up_to_date(db, self._steps):
                    return db
            db.close()
        # Making the file, switching it to WAL and changing its schema are not safe to do twice at
        # once (SQLite answers "database is locked" without waiting), so one process does it.
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.opening():
            self._make_file()
            db = _connect(self.path)
            with _closed_on_error(db):
                # Before there is a schema: whoever sees one opens the file without the lock, and keeps this from it.
                db.execute("pragma journal_mode = wal")
                if not db.execute("select 1 from sqlite_master").fetchone():
                    self._begin(db)
                elif not migrations.up_to_date(db, self._steps):
                    self._require_nobody_older()
                migrations.apply(db, self._steps)
        return db

    def _begin(self, db: Connection) -> None:
        """Make a new file a whole database in one transaction: each step's own would sync the disk several times."""
        with closing(self._empty()) as blank:
            if first := self._first_numbers():
                migrations.number_after(blank, first)
            blank.backup(db)

    def _require_nobody_older(self) -> None:
        """Raises Outdated while a process of an older hive serves the database: whoever is of this one has changed it
        before it takes the lock of its kind."""
        for kind in SERVING:
            process = holder(self._locks / f"{kind}.lock") if self._locks is not None else None
            if process not in (None, os.getpid()):
                raise Outdated(
                    f"`hive {kind}` is still the one from before the update (process {process}), and works with the"
                    " database as it is.",
                    f"End it and start it again: Ctrl-C and `hive {kind}`, or `systemctl restart hive`.",
                )

    def opening(self) -> AbstractContextManager[None]:
        """Be the one process that makes the file or changes which one it is."""
        return file_lock(self.path.with_suffix(".lock"), "opening the database", say=_briefly)

    def _make_file(self) -> None:
        """Have a file, if there is none or an empty one.

        A log that is left beside a file that is gone goes first: SQLite would take it for the new file's.
        """
        if _size(self.path):
            return
        self.remove_files()
        os.close(os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))

    def remove_files(self) -> None:
        """Remove the database with its log and index. The caller is `opening`."""
        for name in self.file_names():
            self.path.with_name(name).unlink(missing_ok=True)

    def copy_to(self, path: Path) -> None:
        """Write all that is committed now into another file, which is then one that is whole. Nobody waits for it.

        Raises Damaged when what was written is not sound.
        """
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path, isolation_level=None)) as copy:
            self.connection().backup(copy)
            copy.execute("pragma journal_mode = delete")
            if [row[0] for row in copy.execute("pragma quick_check")] != ["ok"]:
                raise Damaged(f"{self.path} is damaged.", "Nothing of it was kept.")

    def take_from(self, other: Path) -> None:
        """Become what another database holds, all of it in one transaction."""
        with closing(_connect(other)) as source, self._turn(), self._naming_damage():
            source.backup(self.connection())
        self._ring()

    def set_aside(self) -> Path | None:
        """Move a damaged database out of the way, with its log; where to, or None when it is not damaged.

        Killed anywhere, it leaves the old one whole or none, which the next to open it makes anew.
        """
        if not _size(self.path):
            return None
        with self.opening():
            if not _size(self.path) or self._sound():
                return None
            aside = self.path.with_name(f"{self.path.name}.damaged-{int(time.time())}")
            log = self.path.with_name(f"{self.path.name}-wal")
            if log.exists():
                os.link(log, f"{aside}-wal")
            self.path.rename(aside)
            self.remove_files()
            return aside

    def _sound(self) -> bool:
        try:
            with closing(_connect(self.path)) as db:
                return [row[0] for row in db.execute("pragma quick_check")] == ["ok"]
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            return False

    def file_names(self) -> list[str]:
        """What SQLite calls the database, its log and its index."""
        return [f"{self.path.name}{end}" for end in ("", "-wal", "-shm")]

    def _first_numbers(self) -> int:
        """Where the numbers of a new database begin: behind all that a lost one can have given.

        Somebody may still hold such a number: of an event, to go on from there, or of a message, to acknowledge it.
        """
        lost = (self.path.parent / "meta").exists()
        return int(time.time()) if lost else 0

    def close(self) -> None:
        """Close this thread's connection."""
        if (db := getattr(self._local, "db", None)) is not None:
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


def _is_damage(error: sqlite3.Error) -> bool:
    return str(getattr(error, "sqlite_errorname", "")).startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT"))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _connect(path: Path) -> Connection:
    status = path.stat()
    # It makes no file: one that has been removed in this moment is made by whoever is `opening`.
    db = _connected(f"{path.as_uri()}?mode=rw")
    db.file = status.st_dev, status.st_ino
    return db


def _connected(uri: str) -> Connection:
    db = sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS, isolation_level=None, factory=Connection)
    with _closed_on_error(db):
        db.row_factory = sqlite3.Row
        db.execute("pragma synchronous = full")
        db.execute("pragma foreign_keys = on")
    return db


@cache
def _blank(steps: tuple[tuple[str, str], ...]) -> bytes:
    """A database in which all steps have run, and nothing else; a command that finds none asks for it several times."""
    with closing(_connected(":memory:")) as db:
        # Counts in a new database alone, and before all else: what is free in it can be given back to the disk.
        db.execute("pragma auto_vacuum = incremental")
        migrations.apply(db, dict(steps))
        return db.serialize()


@contextmanager
def _closed_on_error(db: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    except BaseException:
        db.close()
        raise
