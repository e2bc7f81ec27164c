"""What a caller may add to the history: as much as it likes for long, and then no faster than a disk can bear."""

from __future__ import annotations

import threading
import time

# Bytes of events that may be added at once; thousands of turns of a harness.
MOST = 64 * 1024 * 1024
# Bytes a second that it grows by again. A turn tells of some 6 KiB, and takes longer than half a second.
REFILL = 16 * 1024


class Allowance:
    """A token bucket that may be overdrawn by the call that empties it: what a call adds is known at its end.

    Every change of state leaves an event, so what is counted is events: what changes nothing costs nothing.
    Safe in threads.
    """

    def __init__(self) -> None:
        self._left = float(MOST)
        self._at = time.monotonic()
        self._lock = threading.Lock()

    def spend(self, size: int) -> None:
        """Take off so many bytes."""
        with self._lock:
            self._fill()
            self._left -= size

    def seconds(self) -> float:
        """How long to wait until more may be added; 0.0 for not at all."""
        with self._lock:
            self._fill()
            return max(0.0, -self._left / REFILL)

    def _fill(self) -> None:
        now = time.monotonic()
        self._left = min(float(MOST), self._left + (now - self._at) * REFILL)
        self._at = now
