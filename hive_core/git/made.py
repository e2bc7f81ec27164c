"""Folders that appear whole or not at all, that other users can read, or that become another user's."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hive_core.errors import Refused
from hive_core.hostile_folders import measure, remove
from hive_core.locks import Busy, beyond_reach, file_lock


@contextmanager
def made_beside(path: Path, folder: Path) -> Iterator[Path]:
    """Give the block a new folder inside `folder`, and move it to `path` when the block ends well.

    Otherwise it is removed; what a killed process left is removed by the next one that makes something in `folder`
    under the same name. `folder` must be on the file system of `path` and out of reach of whoever might meddle.
    Raises Refused when there is something at `path`.
    """
    temporary = folder / f".{path.name}.new"
    with _alone(folder, wait=True):
        if temporary.exists():
            shutil.rmtree(temporary)
        if os.path.lexists(path):
            raise Refused(f"There is something at {path} already.")
        temporary.mkdir()
        temporary.chmod(0o755)
        try:
            yield temporary
            temporary.rename(path)
        except OSError as error:
            raise Refused(f"{path} could not be made: {error}.") from error
        finally:
            if temporary.exists():
                shutil.rmtree(temporary)


def sweep(folder: Path, *, dry: bool) -> int:
    """Remove what was cut off in its making inside `folder`, unless somebody is at it; returns how many bytes."""
    if not folder.is_dir():
        return 0
    try:
        with _alone(folder, wait=False):
            left = [path for path in folder.glob(".*.new") if path.is_dir() and not path.is_symlink()]
            freed = sum(measure(path).size for path in left)
            for path in left if not dry else ():
                remove(path)
            return freed
    except Busy:
        return 0


@contextmanager
def _alone(folder: Path, *, wait: bool) -> Iterator[None]:
    """Keep every other process from making something inside `folder` meanwhile. Raises Busy."""
    lock = beyond_reach(folder)
    if lock is not None:
        with file_lock(lock, f"making something in {folder.name}", wait=wait, say=_nobody):
            yield
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise Busy(folder.name, "another process") from None
        yield
    finally:
        os.close(descriptor)


def _nobody(text: str) -> None:
    """Such a wait lasts milliseconds: it is not worth a word."""


def give_away(root: Path, owner: tuple[int, int]) -> None:
    """Make everything below `root` belong to a uid and gid. Only for a folder nobody else can reach yet."""
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, *owner, follow_symlinks=False)
    os.chown(root, *owner, follow_symlinks=False)


def make_readable(root: Path) -> None:
    """Give everything below `root` the modes it has under a umask of 022, so that other users can read it.

    Nothing happens under that umask. It is not set instead, because it belongs to every thread of the process.
    """
    if _umask() == 0o022:
        return
    for folder, folders, files in os.walk(root):
        for name in folders:
            (Path(folder) / name).chmod(0o755)
        for name in files:
            path = Path(folder) / name
            path.chmod((path.stat().st_mode | 0o444) & 0o755)
    root.chmod(0o755)


def _umask() -> int:
    # proc(5): the field is there since Linux 4.7; os.umask() could only tell by changing it.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("Umask:"):
            return int(line.split()[1], 8)
    raise AssertionError("/proc/self/status has no Umask")
