"""Folders that an agent has filled, as deep and as forbidding as it liked: measured, handed over, removed."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hive_core.transaction import never_inside

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Measuring looks no deeper and at no more than this: it is done while others wait.
MOST_DEEP = 100
MOST_ENTRIES = 50_000
# A removal gives up after so many that were made, or given another name, since it began.
MOST_MADE_ANEW = 100_000


@dataclass(frozen=True, slots=True)
class Measured:
    """size: bytes that the files take up, holes left out. newest: when a folder was last changed, unix seconds.

    whole: whether everything was looked at; else both are of a part.
    """

    size: int
    newest: float
    whole: bool


@never_inside
def measure(folder: Path) -> Measured:
    """Add up a folder, following no link; of one that is too deep or too full only a part."""
    size, newest, left = 0, 0.0, MOST_ENTRIES
    for status in _statuses(folder):
        if status is None:
            pass
        elif stat.S_ISDIR(status.st_mode):
            newest = max(newest, status.st_mtime)
        else:
            # A block is 512 bytes, whatever the file system's are (stat(2)).
            size += min(status.st_size, status.st_blocks * 512)
        left -= 1
        if left <= 0:
            break
    return Measured(size, newest, left > 0)


def _statuses(folder: Path) -> Iterator[os.stat_result | None]:
    """The status of a folder and of everything below it, None for what is closed to us; at most 50,000 names are read.

    Only one descriptor is open for each level.
    """
    try:
        top = os.open(folder, _FOLDER)
    except OSError:
        return
    yield os.fstat(top)
    room = _Room()
    stack = [(top, _names(top, room))]
    try:
        while stack:
            parent, names = stack[-1]
            if not names:
                stack.pop()
                os.close(parent)
                continue
            yield from _entry(parent, names.pop(), stack, room)
    finally:
        for descriptor, _names_left in stack:
            os.close(descriptor)


@dataclass(slots=True)
class _Room:
    """How many names may still be read."""

    left: int = MOST_ENTRIES


def _entry(parent: int, name: str, stack: list[tuple[int, list[str]]], room: _Room) -> Iterator[os.stat_result | None]:
    try:
        status = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except OSError:
        yield None  # It has gone meanwhile, or is closed to us.
        return
    yield status
    try:
        if stat.S_ISDIR(status.st_mode) and len(stack) < MOST_DEEP:
            child = os.open(name, _FOLDER, dir_fd=parent)
            stack.append((child, _names(child, room)))
    except OSError:
        return  # As above: it is counted, but not what is in it.


def _names(folder: int, room: _Room) -> list[str]:
    names = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if room.left <= 0:
                break
            room.left -= 1
            names.append(entry.name)
    return names


@never_inside
def hand_over(folder: Path, uid: int) -> None:
    """Give a folder and everything in it to a user and its group, following no link, however deep it is.

    One descriptor is open, whatever the depth. The top is given last: its owner says that all beneath it is done,
    whoever was killed in between. Raises OSError when something is moved about meanwhile.
    """
    at = os.open(folder, _FOLDER)
    try:
        # Of each level from the top down to `at`: which folder it is, and the folders in it that are still to be done.
        levels = [(_identity(at), _give(at, uid))]
        while True:
            inner = levels[-1][1]
            if inner:
                at = _step(at, inner.pop())
                levels.append((_identity(at), _give(at, uid)))
                continue
            levels.pop()
            if not levels:
                break
            at = _step(at, "..")
            if _identity(at) != levels[-1][0]:
                raise OSError(errno.ESTALE, "its folders are being moved about", str(folder))
        os.fchown(at, uid, uid)
    finally:
        os.close(at)


def _give(folder: int, uid: int) -> list[str]:
    """Give everything right in a folder to a user; returns the names of the folders among it."""
    folders = []
    with os.scandir(folder) as entries:
        for entry in entries:
            os.chown(entry.name, uid, uid, dir_fd=folder, follow_symlinks=False)
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
    return folders


def _step(folder: int, name: str) -> int:
    """Open the folder that a folder has under a name, and close the one it is in."""
    opened = os.open(name, _FOLDER, dir_fd=folder)
    os.close(folder)
    return opened


def _identity(folder: int) -> tuple[int, int]:
    status = os.fstat(folder)
    return status.st_dev, status.st_ino


@never_inside
def remove(folder: Path) -> None:
    """Remove a folder and everything in it, following no link, however deep and whatever its modes; absent is fine.

    What lies deeper than a level is first moved up beside it, so that neither the depth of the tree nor the length
    of a path matters. A link in its place goes, too. Raises OSError when something cannot be removed, or is made anew
    faster than it is removed.
    """
    parent = os.open(folder.parent, _FOLDER)
    try:
        if _is_folder(parent, folder.name):
            _Removal(folder).empty(_open_for_us(parent, folder.name))
            os.rmdir(folder.name, dir_fd=parent)
        elif os.path.lexists(folder):
            os.unlink(folder.name, dir_fd=parent)
    finally:
        os.close(parent)


class _Removal:
    """One removal: how much it has moved up, and how much it has met that was not there when it began."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._began = time.time()
        self._raised = self._new = 0

    def empty(self, top: int) -> None:
        """Empty the folder of this descriptor, and close it: each folder in it is emptied into it, then removed."""
        try:
            while names := _names(top, _Room()):
                for name in names:
                    if not self._meets_folder(top, name):
                        os.unlink(name, dir_fd=top)
                        continue
                    self._raise_up(top, name)
                    os.rmdir(name, dir_fd=top)
        finally:
            os.close(top)

    def _raise_up(self, top: int, name: str) -> None:
        """Remove the files of a folder in `top`, and move its folders up into `top`."""
        folder = _open_for_us(top, name)
        try:
            while names := _names(folder, _Room()):
                for inner in names:
                    if not self._meets_folder(folder, inner):
                        os.unlink(inner, dir_fd=folder)
                        continue
                    # Moving a folder changes its `..`, for which it must be writable.
                    os.close(_open_for_us(folder, inner))
                    self._raised += 1
                    os.rename(inner, _free(top, self._raised), src_dir_fd=folder, dst_dir_fd=top)
        finally:
            os.close(folder)

    def _meets_folder(self, parent: int, name: str) -> bool:
        """Whether it is a folder. Raises OSError when too much has been made since the removal began."""
        try:
            status = os.stat(name, dir_fd=parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        # What was moved up was changed by us. So were the further names of a file that had many.
        self._new += status.st_ctime > self._began
        if self._new - self._raised > MOST_MADE_ANEW:
            raise OSError(errno.ENOTEMPTY, "somebody makes files in it faster than they are removed", str(self._folder))
        return stat.S_ISDIR(status.st_mode)


def _free(top: int, count: int) -> str:
    """A name that nothing in `top` has."""
    while True:
        name = f".removing-{count}-{os.urandom(8).hex()}"
        try:
            os.stat(name, dir_fd=top, follow_symlinks=False)
        except FileNotFoundError:
            return name


def _is_folder(parent: int, name: str) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _open_for_us(parent: int, name: str) -> int:
    """Open a folder, having given ourselves the right to change it, as root nobody else: as a plain user, its mode
    counts, and whoever owns it may be at work in it."""
    look = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=parent)
    try:
        if os.geteuid() == 0:
            os.chown(f"/proc/self/fd/{look}", 0, 0)
        # By the descriptor: whatever takes the name meanwhile, this very folder is meant.
        Path(f"/proc/self/fd/{look}").chmod(0o700)
        return os.open(f"/proc/self/fd/{look}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(look)
