"""A token bucket: so much at once, and after that no faster than it fills again."""

from __future__ import annotations

import time

_BOUNDLESS = float("inf")


class Bucket:
    """Begins full. Whoever empties it may overdraw it: how much something takes is often known at its end only.

    most: what it holds. rate: what is added to it in a second. debt: by how much it can be overdrawn; what is taken
    beyond that is not counted. Not safe in threads: those who share one hold a lock.
    """

    __slots__ = ("_at", "_debt", "_left", "_most", "_rate")

    def __init__(self, most: float, rate: float, debt: float = _BOUNDLESS) -> None:
        self._most, self._rate, self._debt = most, rate, debt
        self._left, self._at = most, time.monotonic()

    def take(self, amount: float) -> None:
        """Take out so much, whether or not it holds that."""
        self._fill()
        self._left = max(-self._debt, self._left - amount)

    def seconds(self) -> float:
        """How long it is overdrawn for; 0.0 when it is not."""
        self._fill()
        return max(0.0, -self._left / self._rate)

    def _fill(self) -> None:
        now = time.monotonic()
        self._left = min(self._most, self._left + (now - self._at) * self._rate)
        self._at = now
