"""Folders for one piece of work each: what a killed process leaves in one is cleared away by whoever comes next."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hive_core.hostile_folders import measure, remove
from hive_core.locks import file_lock

# Beside the containers: on a disk that has room, and nobody else's.
_FOLDER = ".work"


@contextmanager
def workroom(containers: Path) -> Iterator[Path]:
    """An empty folder, gone when the block ends. Its owner is who holds a lock on it, which ends with that process."""
    folder = containers / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with file_lock(folder / "lock", "making room for a build"):
        _clear(folder, dry=False)
        made = Path(tempfile.mkdtemp(dir=folder))
        descriptor = os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield made
    finally:
        remove(made)
        os.close(descriptor)


def sweep(containers: Path, *, dry: bool) -> int:
    """Remove what nobody is at any more; returns how many bytes."""
    folder = containers / _FOLDER
    if not folder.is_dir():
        return 0
    with file_lock(folder / "lock", "clearing away what builds left"):
        return _clear(folder, dry=dry)


def _clear(folder: Path, *, dry: bool) -> int:
    freed = 0
    for left in [path for path in folder.iterdir() if path.is_dir()]:
        descriptor = os.open(left, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            freed += measure(left).size
            if not dry:
                remove(left)
        except BlockingIOError:
            continue  # Somebody is at it.
        finally:
            os.close(descriptor)
    return freed
