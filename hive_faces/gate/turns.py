"""Turns: callers who keep the gate's threads busy do it one at a time, in turn, and hold up nobody who does not."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from hive_core.bucket import Bucket
from hive_core.caller import Identity

# Seconds of a processor that a caller may use up at once, and how many a second it may use on and on, before it has to
# take turns. A call that reads a few messages takes a thousandth.
AT_ONCE, ON_AND_ON = 0.02, 0.05


class Turns:
    """Who has used up much of the processor waits for a turn before it uses more; turns go round among callers.

    Python runs one thread at a time, and changes over only now and then: each thread that is busy is one more that a
    quiet caller's thread waits for, several times over in a call. So there is one of them at the most.
    Safe in threads, which is what it is for.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = False
        self._waiting: dict[Identity, deque[threading.Lock]] = {}
        self._left: dict[Identity, Bucket] = {}

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        with self._lock:
            return sum(map(len, self._waiting.values()))

    @contextmanager
    def of(self, caller: Identity) -> Iterator[None]:
        """Wait for the caller's turn if it has to take any, and count what the block uses."""
        busy = self.is_busy(caller)
        if busy:
            self._take(caller)
        before = time.thread_time()
        try:
            yield
        finally:
            self.count(caller, time.thread_time() - before)
            if busy:
                self._pass_on()

    def forget(self, caller: Identity) -> None:
        """The caller is no longer there."""
        with self._lock:
            self._left.pop(caller, None)

    def is_busy(self, caller: Identity) -> bool:
        """Whether the caller has to take turns."""
        with self._lock:
            return caller in self._left and self._left[caller].seconds() > 0

    def count(self, caller: Identity, seconds: float) -> None:
        """Note that the caller has used so much."""
        with self._lock:
            # What is owed is bounded: who was busy for an hour is a quiet caller again after some seconds.
            self._left.setdefault(caller, Bucket(AT_ONCE, ON_AND_ON, debt=9 * AT_ONCE)).take(seconds)

    def _take(self, caller: Identity) -> None:
        with self._lock:
            if not self._taken:
                self._taken = True
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.setdefault(caller, deque()).append(turn)
        turn.acquire()

    def _pass_on(self) -> None:
        with self._lock:
            if not self._waiting:
                self._taken = False
                return
            caller = next(iter(self._waiting))
            waiting = self._waiting.pop(caller)
            turn = waiting.popleft()
            if waiting:
                self._waiting[caller] = waiting
        turn.release()
