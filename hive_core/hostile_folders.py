"""Folders that an agent has filled, as deep and as forbidding as it liked: measured, handed over, removed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hive_core.transaction import never_inside

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Measuring looks no deeper and at no more than this: it is done while others wait.
MOST_DEEP = 100
MOST_ENTRIES = 50_000


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
    of a path matters. Raises OSError when something cannot be removed, or is made anew faster than it is removed.
    """
    parent = os.open(folder.parent, _FOLDER)
    try:
        if _is_folder(parent, folder.name):
            _empty(_open_for_us(parent, folder.name))
            os.rmdir(folder.name, dir_fd=parent)
    finally:
        os.close(parent)


def _empty(top: int) -> None:
    """Empty the folder of this descriptor, and close it: each folder in it is emptied into it, then removed."""
    count = 0
    try:
        while names := _names(top, _Room()):
            for name in names:
                if not _is_folder(top, name):
                    os.unlink(name, dir_fd=top)
                    continue
                count = _raise_up(top, name, count)
                os.rmdir(name, dir_fd=top)
    finally:
        os.close(top)


def _raise_up(top: int, name: str, count: int) -> int:
    """Remove the files of a folder in `top`, and move its folders up into `top`; returns how many were moved so far."""
    folder = _open_for_us(top, name)
    try:
        while names := _names(folder, _Room()):
            for inner in names:
                if not _is_folder(folder, inner):
                    os.unlink(inner, dir_fd=folder)
                    continue
                # Moving a folder changes its `..`, for which it must be writable.
                os.close(_open_for_us(folder, inner))
                count += 1
                os.rename(inner, _free(top, count), src_dir_fd=folder, dst_dir_fd=top)
    finally:
        os.close(folder)
    return count


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
    """Open a folder, having given ourselves the right to change it: as a plain user, its mode counts."""
    look = os.open(name, _LOOK | os.O_DIRECTORY, dir_fd=parent)
    try:
        # By the descriptor: whatever takes the name meanwhile, this very folder is meant.
        Path(f"/proc/self/fd/{look}").chmod(0o700)
        return os.open(f"/proc/self/fd/{look}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    finally:
        os.close(look)
