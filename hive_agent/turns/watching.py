"""Noticing at once that something in a folder changed: inotify(7), by way of the C library."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

from hive_agent.waits import Waits

_CLOSE_WRITE, _MOVED_TO, _ONLYDIR, _DONT_FOLLOW = 0x8, 0x80, 0x1000000, 0x2000000
# What inotify cannot tell is looked at this often: where there is no folder yet or no watch to be had, and else.
BLIND_SECONDS, SEEING_SECONDS = 1.0, 30.0


class Watched:
    """A folder, for a `with` block; `wait` returns when a file in it was written or put there."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.fsencode(folder)
        self._descriptor = -1

    def __enter__(self) -> Watched:
        library = ctypes.CDLL(None, use_errno=True)
        descriptor = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        mask = _CLOSE_WRITE | _MOVED_TO | _ONLYDIR | _DONT_FOLLOW
        if descriptor >= 0 and library.inotify_add_watch(descriptor, self._folder, mask) >= 0:
            self._descriptor = descriptor
        elif descriptor >= 0:
            os.close(descriptor)
        return self

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def wait(self, waits: Waits) -> bool:
        """Wait until it is worth looking again; whether something is known to have changed. Raises Stopped."""
        if self._descriptor < 0:
            waits.pause(BLIND_SECONDS)
            return False
        if not waits.readable(self._descriptor, SEEING_SECONDS):
            return False
        self._drain()
        return True

    def _drain(self) -> None:
        try:
            while os.read(self._descriptor, 65536):
                continue
        except BlockingIOError:
            return
