"""What a caller may add to the history: as much as it likes for long, and then no faster than a disk can bear."""

from __future__ import annotations

import threading
import time

from hive_core.bucket import Bucket

# Bytes of events that may be added at once; thousands of turns of a harness.
MOST = 64 * 1024 * 1024
# Bytes a second that it grows by again. A turn tells of some 6 KiB, and takes longer than half a second.
REFILL = 16 * 1024
# One change is written at a time. One that took longer than a moment is followed by so many times as long in which no
# further one of that caller's is begun. In seconds of a processor.
MOMENT, REST = 0.02, 5


class Allowance:
    """What one caller may add. Every change of state leaves an event, so what is counted is events: what changes
    nothing costs nothing. Safe in threads.
    """

    def __init__(self) -> None:
        self._bucket = Bucket(MOST, REFILL)
        self._lock = threading.Lock()
        self._again = 0.0

    def spend(self, size: int, seconds: float = 0.0) -> None:
        """Take off so many bytes, as a call that has added them ends. seconds: for which nobody else could write."""
        with self._lock:
            self._bucket.take(size)
            if seconds > MOMENT:
                self._again = max(self._again, time.monotonic()) + REST * seconds

    def rest(self) -> float:
        """How long to wait until another change may be begun; 0.0 for not at all."""
        with self._lock:
            return max(0.0, self._again - time.monotonic())

    def seconds(self) -> float:
        """How long to wait until more may be added; 0.0 for not at all."""
        with self._lock:
            return self._bucket.seconds()
