"""Exported configurations: one read-only folder per revision, made whole or not at all."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from hive_core.errors import BuildFailed

MOST_FILES = 10_000
MOST_BYTES = 64 * 1024 * 1024


def export(folder: Path, repository: Path, revision: str) -> Path:
    """Write the tree of `revision` to `folder/<revision>`; returns it. Nothing is done when it is there.

    Raises BuildFailed for what is no plain tree of files, or is too much of one.
    """
    target = folder / revision
    if target.is_dir():
        return target
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = folder / f".{revision}"
    remove(partial)
    partial.mkdir(mode=0o700)
    try:
        _write_all(partial, files(repository, revision))
        _seal(partial)
        partial.rename(target)
    except BaseException:
        remove(partial)
        raise
    _sync(folder)
    return target


def files(repository: Path, revision: str) -> Iterator[tuple[str, int, bytes]]:
    """The regular files of a revision: (path, mode, data)."""
    # Stands in for hive_core.repository.Repository(repository).files(revision) until that is there.
    import pygit2

    tree = pygit2.Repository(str(repository), pygit2.enums.RepositoryOpenFlag.NO_SEARCH)[revision].peel(pygit2.Tree)
    pending: list[tuple[str, pygit2.Tree]] = [("", tree)]
    while pending:
        prefix, folder = pending.pop()
        for entry in folder:
            if isinstance(entry, pygit2.Tree):
                pending.append((f"{prefix}{entry.name}/", entry))
            elif isinstance(entry, pygit2.Blob) and entry.filemode != pygit2.enums.FileMode.LINK:
                yield f"{prefix}{entry.name}", int(entry.filemode), entry.data
            else:
                raise BuildFailed(f"{prefix}{entry.name} is no regular file; links and submodules are not taken.")


def _write_all(folder: Path, entries: Iterator[tuple[str, int, bytes]]) -> None:
    count = total = 0
    for path, mode, data in entries:
        count, total = count + 1, total + len(data)
        if count > MOST_FILES or total > MOST_BYTES:
            raise BuildFailed(f"The configuration is more than {MOST_FILES} files or {MOST_BYTES // 1024**2} MiB.")
        if any(part in ("", ".", "..") for part in path.split("/")) or "\0" in path:
            raise BuildFailed(f"{path!r} is not a path a configuration can have.")
        _write(folder / path, 0o555 if mode & stat.S_IXUSR else 0o444, data)


def _write(path: Path, mode: int, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
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
        _sync(Path(path))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
