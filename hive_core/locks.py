"""Exclusion between processes: flock on files that are never removed, released by the kernel when the holder dies."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path

from hive_core.errors import Refused
from hive_core.transaction import outside

# What there is one of at the most, for long, with the database open meanwhile.
SERVING = ("up", "watch", "gate")

Say = Callable[[str], None]
# The folder of a hive's locks; a Settings says where.
FOLDER = "locks"
# How a holder says in the file that it is one.
_HOLDER = re.compile(rb"process (\d+), ")
_TABLE = Path("/proc/locks")
# How many lines of it are read.
MOST_LOCKS = 4096
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Busy(Refused):
    """Somebody else holds the lock, and the caller did not want to wait. holder: the process, and what it does."""

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(f"{name} is busy: {holder}.", "Try again when it is done.")
        self.holder = holder


@contextmanager
def file_lock(path: Path, purpose: str, *, wait: bool = True, say: Say | None = None) -> Iterator[None]:
    """Hold the lock file at `path` for the block.

    purpose: what the holder is doing, told to whoever waits. say: where to tell it.
    Raises Busy when it is held and `wait` is False. Not re-entrant, not even in one thread.
    """
    outside(f"the lock {path.stem} was asked for")
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _take(descriptor, path, wait, say)
        _write(descriptor, f"process {os.getpid()}, {purpose}")
        yield
    finally:
        os.close(descriptor)


def beyond_reach(path: Path) -> Path | None:
    """The lock file of a folder in a hive that agents may look into: among that hive's locks, which they do not see.

    Who can open a file can lock it, to read it is enough (flock(2)), and so keep everybody waiting. None for a folder
    in no hive.
    """
    own = path.absolute()
    for folder in (own, *own.parents):
        try:
            status = (folder / FOLDER).lstat()
        except OSError:
            continue
        # A hive's is its own and nobody else's.
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077:
            return folder / FOLDER / f"{'.'.join(('in', *own.relative_to(folder).parts))}.lock"
    return None


def _write(descriptor: int, text: str) -> None:
    """Say who holds the lock. On a full disk the file's size does, which takes no room; it is held all the same."""
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, text.encode(), 0)
    except OSError as error:
        if error.errno not in _FULL:
            raise
        # A file system that has no room for that either leaves it unsaid.
        with suppress(OSError):
            os.ftruncate(descriptor, os.getpid())


def _said(descriptor: int) -> int | None:
    """The process that a lock file says holds it, None where it says nothing: by its text, or by its size alone."""
    text = os.pread(descriptor, 200, 0)
    if found := _HOLDER.match(text):
        return int(found[1])
    return os.fstat(descriptor).st_size if text and not text.strip(b"\0") else None


def holder(path: Path) -> int | None:
    """The process that holds a lock file, without trying to take it; None where nobody does.

    It is the one that the file says, if it does hold it. The table of all locks is read only of another user's
    process, which does not show what it has open, and not far.
    """
    try:
        with path.open("rb") as file:
            said, status = _said(file.fileno()), os.fstat(file.fileno())
    except FileNotFoundError:
        return None
    if said is None:
        return None
    try:
        return said if _holds(said, status) else None
    except PermissionError:
        # As root's for somebody in root's group.
        return _by_table(status, said)


def _holds(pid: int, file: os.stat_result) -> bool:
    """Whether a process has this file open and locked (proc(5), fdinfo). Raises PermissionError."""
    process = Path(f"/proc/{pid}")
    try:
        names = [path.name for path in (process / "fd").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(_is_locked(process, name, file) for name in names)


def _is_locked(process: Path, descriptor: str, file: os.stat_result) -> bool:
    try:
        there = (process / "fd" / descriptor).stat()
        return os.path.samestat(file, there) and "FLOCK" in (process / "fdinfo" / descriptor).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False  # It was closed meanwhile.


def _by_table(file: os.stat_result, said: int) -> int | None:
    """The same by the table of all locks (proc(5), locks); where that is too long, whom the file says.

    An agent can take a million locks of its own, and to read them takes minutes.
    """
    place = f"{os.major(file.st_dev):02x}:{os.minor(file.st_dev):02x}:{file.st_ino}"
    with _TABLE.open() as table:
        for line in islice(table, MOST_LOCKS):
            fields = line.split()
            if fields[1] == "FLOCK" and fields[5] == place:
                return int(fields[4])
        return said if table.readline() else None


def _take(descriptor: int, path: Path, wait: bool, say: Say | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return
    except OSError as error:
        if error.errno not in (errno.EAGAIN, errno.EACCES):
            raise
    told = os.pread(descriptor, 200, 0).decode(errors="replace").strip("\0")
    if not told:
        said = _said(descriptor)
        told = "another process" if said is None else f"process {said}"
    if not wait:
        raise Busy(path.stem, told)
    (say or _say_on_stderr)(f"waiting for {path.stem}: {told}")
    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _say_on_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
