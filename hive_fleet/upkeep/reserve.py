"""Room set aside for a full disk: a database that nobody has open cannot even be read without a little."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from hive_core.context import Hive
from hive_fleet.watching.attention import SCARCE
from hive_fleet.watching.attention import SHARE as SCARCE_SHARE

FILE = "reserve"
# Bytes at the most; of a small disk so much less.
MOST, SHARE = 8 * 1024 * 1024, 64
# How many times as much has to be free for it to be set aside.
AMPLE = 8


def is_scarce(hive: Hive) -> bool:
    """Whether so little of the disk is free that the operator is told of it."""
    try:
        found = os.statvfs(hive.settings.home)
    except OSError:
        return False  # It is not there; whoever needs it says so.
    return found.f_bavail * found.f_frsize < min(SCARCE, found.f_blocks * found.f_frsize * SCARCE_SHARE)


def give(hive: Hive) -> None:
    """Give it up where there is no room: the upkeep needs it to make more."""
    path = hive.settings.home / FILE
    if path.exists() and shutil.disk_usage(path.parent).free < _wanted(path):
        path.unlink()


def keep(hive: Hive) -> None:
    """Set it aside, where there is more than enough room. That it cannot be is no trouble."""
    path = hive.settings.home / FILE
    if not path.parent.is_dir() or shutil.disk_usage(path.parent).free < AMPLE * _wanted(path):
        return
    if path.exists():
        if path.stat().st_size >= _wanted(path):
            return
        path.unlink()  # Whoever was setting it aside was killed, or the disk has grown.
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, _wanted(path))
    except OSError:
        with suppress(OSError):
            path.unlink()
    finally:
        os.close(descriptor)


def _wanted(path: Path) -> int:
    return min(MOST, shutil.disk_usage(path.parent).total // SHARE)
