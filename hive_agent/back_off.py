"""Backing off: the first try that fails is followed by a short pause, each further one by one twice as long."""

from __future__ import annotations

# Doubled more often than this, any pause is longer than the longest one; some time later a float can hold it no more.
_MOST_DOUBLINGS = 64


def pause_after(failures: int, first: float, longest: float) -> float:
    """Seconds to wait after so many failures in a row; none has no pause shorter than the first."""
    doublings = min(max(failures - 1, 0), _MOST_DOUBLINGS)
    return min(longest, first * 2.0**doublings)


class BackOff:
    """The pauses between the tries of one thing. first, longest: in seconds."""

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._failures = 0

    def failed(self) -> float:
        """Another try has failed; the seconds to wait before the next one."""
        self._failures += 1
        return pause_after(self._failures, self._first, self._longest)

    def succeeded(self) -> None:
        """The next failure is the first one again."""
        self._failures = 0
