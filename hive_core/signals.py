"""Waiting in the kernel so that no signal slips past."""

from __future__ import annotations

import os
import select
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


def readable(descriptors: Iterable[int], seconds: float | None = None) -> set[int]:
    """Wait until one of the descriptors is readable, for at most `seconds`; those that are.

    A handler of Python's own, and so Ctrl-C, is noticed between two steps of Python. One that comes just before the
    wait would be noticed at its end, which may be never; the number that signal.set_wakeup_fd has written is not.
    """
    with _numbers() as numbers:
        poll = select.poll()
        for descriptor in (*descriptors, *numbers):
            poll.register(descriptor, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)}
        return found - set(numbers)


@contextmanager
def _numbers() -> Iterator[tuple[int, ...]]:
    """A descriptor that becomes readable at a signal; none in a thread that is not the main one: it runs no handler."""
    if threading.current_thread() is not threading.main_thread():
        yield ()
        return
    numbers, end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    before = signal.set_wakeup_fd(end, warn_on_full_buffer=False)
    try:
        yield (numbers,)
    finally:
        signal.set_wakeup_fd(before)
        os.close(numbers)
        os.close(end)
