"""Exported configurations: one read-only folder per revision, made whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from hive_agent import atomic
from hive_core.errors import BuildFailed
from hive_core.git.repository import Repository

# What the file system refuses a file for its name, or for another of the same configuration; all else is its own fault.
_BY_ITS_NAME = (
    errno.ENAMETOOLONG,
    errno.EINVAL,
    errno.EILSEQ,
    errno.EEXIST,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ELOOP,
)


def export(folder: Path, repository: Path, revision: str) -> Path:
    """Write the tree of `revision` to `folder/<revision>`; returns it. Nothing is done when it is there, undamaged.

    Raises BuildFailed for what is no plain tree of files, or is too much of one (see History.files).
    """
    target = folder / revision
    if target.is_dir():
        if _whole(target, Repository(repository).files(revision)):
            return target
        remove(target)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    write_whole(target, Repository(repository).files(revision))
    return target


def write_whole(target: Path, entries: Iterable[tuple[str, int, bytes]]) -> None:
    """Make the folder `target` of these files (path, mode, content), readable by everybody and written by nobody.

    It is there whole or not at all, also after a power cut. The caller excludes others from the same name; what a
    killed one left is removed by the next.
    """
    partial = target.with_name(f".{target.name}")
    remove(partial)
    partial.mkdir(mode=0o700)
    try:
        _write_all(partial, entries)
        _seal(partial)
        partial.rename(target)
    except BaseException:
        remove(partial)
        raise
    atomic.sync(target.parent)


def _whole(folder: Path, entries: Iterator[tuple[str, int, bytes]]) -> bool:
    """Whether every file is there as it was written: a disk, or a person, may have changed it since."""
    for path, _mode, data in entries:
        try:
            if (folder / path).read_bytes() != data:
                return False
        except OSError:
            return False
    return True


def _write_all(folder: Path, entries: Iterable[tuple[str, int, bytes]]) -> None:
    for path, mode, data in entries:
        # The repository has refused these already; whoever writes as root looks again.
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise BuildFailed(f"{path!r} is not a path a configuration can have.")
        _write(folder / path, 0o555 if mode & stat.S_IXUSR else 0o444, data)


def _write(path: Path, mode: int, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        if error.errno not in _BY_ITS_NAME:
            raise
        raise BuildFailed(f"{path.name!r} could not be written: {error.strerror}.") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        os.fchmod(descriptor, mode)
        file.flush()
        os.fsync(descriptor)


def _seal(folder: Path) -> None:
    """Make every folder read-only and its entries durable, so that what is renamed into place is whole."""
    for path, _folders, _files in os.walk(folder, topdown=False):
        Path(path).chmod(0o555)
        atomic.sync(path)


def prune(folder: Path, keep: set[str]) -> None:
    """Remove every generation but these, and what killed exports left."""
    for path in folder.iterdir():
        if path.name not in keep:
            # Renamed first: a generation that is there is there whole.
            doomed = path.with_name(f".old-{path.name.lstrip('.')}")
            remove(doomed)
            path.rename(doomed)
            remove(doomed)


def remove(folder: Path) -> None:
    """Remove a folder of ours, read-only as it may be; absent is fine."""
    if not folder.is_dir():
        return
    for path, _folders, _files in os.walk(folder):
        Path(path).chmod(0o700)
    shutil.rmtree(folder)
