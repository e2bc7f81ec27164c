"""Ctrl-C, and SIGTERM and SIGHUP, which end a command as that does: at once, but never amid a change."""

from __future__ import annotations

import select
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hive_agent.signal_pipe import open_pipe


class Terminated(KeyboardInterrupt):
    """SIGTERM: whoever runs this wants it to end, and that is how it should end. Anywhere else it is as a Ctrl-C is."""


class _Deferral(threading.local):
    """Of each thread, though only the main one is ever interrupted.

    depth: of the blocks that are not to be. interrupted: what waits for their end.
    """

    depth = 0
    interrupted: type[KeyboardInterrupt] | None = None


_deferral = _Deferral()


def interruptible() -> None:
    """Have SIGINT, SIGTERM, SIGHUP raise KeyboardInterrupt, but for blocks that are `deferring`; for the main thread.

    What whoever started us had us ignore, as nohup and a shell's `&` do, stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: object) -> None:
    kind = Terminated if number == signal.SIGTERM else KeyboardInterrupt
    if _deferral.depth:
        _deferral.interrupted = kind
    else:
        raise kind


@contextmanager
def deferring() -> Iterator[None]:
    """Have an interrupt wait for the end of the block, which takes milliseconds.

    Python raises it between any two steps, also between one that takes something and the `try` that gives it back.
    """
    _deferral.depth += 1
    try:
        yield
    finally:
        _deferral.depth -= 1
        if _deferral.interrupted and not _deferral.depth:
            kind, _deferral.interrupted = _deferral.interrupted, None
            raise kind


class ToldToEnd(Exception):
    """A thread has been told to end: nobody wants what it makes any more."""


class _Ends(threading.local):
    """Of each thread: a descriptor that becomes readable when it is to end; -1 for one that nobody ends."""

    descriptor = -1


_ends = _Ends()


@contextmanager
def ended_by(descriptor: int) -> Iterator[None]:
    """Have what this thread waits for in the block end with ToldToEnd once the descriptor is readable."""
    before, _ends.descriptor = _ends.descriptor, descriptor
    try:
        yield
    finally:
        _ends.descriptor = before


def readable(descriptors: Iterable[int], seconds: float | None = None) -> set[int]:
    """Wait until one of the descriptors is readable, for at most `seconds`; those that are.

    Ctrl-C is noticed at once, also when it comes just before the wait: see hive_agent/signal_pipe.py. Raises ToldToEnd
    in a thread that is `ended_by` something.
    """
    with _numbers() as numbers:
        poll = select.poll()
        for descriptor in (*descriptors, *numbers):
            poll.register(descriptor, select.POLLIN)
        found = {descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)}
        if _ends.descriptor in found:
            raise ToldToEnd
        return found - set(numbers)


@contextmanager
def _numbers() -> Iterator[tuple[int, ...]]:
    """A descriptor that becomes readable at a signal; none in a thread that is not the main one: it runs no handler."""
    if threading.current_thread() is not threading.main_thread():
        yield () if _ends.descriptor < 0 else (_ends.descriptor,)
        return
    numbers, close = open_pipe()
    try:
        yield (numbers,)
    finally:
        close()
