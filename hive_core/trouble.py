"""What keeps a process that must not end from its work: told once, tried again ever later, told when it is over."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from hive_agent.back_off import BackOff
from hive_core import disk
from hive_core.errors import HiveError, Replaced

# What the machine, or the state it holds, may refuse at any time. Anything else is a bug.
TROUBLES = (HiveError, OSError, sqlite3.Error)
# Seconds until the first further try; doubled each time, up to the longest.
FIRST, LONGEST = 1.0, 10.0
# Seconds without trouble after which the same is news again.
FORGOTTEN = 300.0


class Trouble:
    """The troubles of one process or thread. worked: whether it ever did its work."""

    def __init__(self, say: Callable[[str], None], who: str) -> None:
        self._say, self._who = say, who
        self._told: set[str] = set()
        self._tries, self._last = BackOff(FIRST, LONGEST), 0.0
        self.worked = False

    def met(self, error: BaseException) -> float:
        """Tell of an error, unless it was told already; the seconds until to try again."""
        now = time.monotonic()
        if now - self._last > FORGOTTEN:
            self._told.clear()
        self._last = now
        words = _words(error)
        if words not in self._told:
            self._told.add(words)
            self._say(f"warning: {self._who}: {words}")
        if isinstance(error, Replaced):
            return 0.0
        return self._tries.failed()

    def over(self) -> None:
        """The work was done. Nothing happens when nothing had kept it from that."""
        self.worked = True
        if self._told:
            self._told.clear()
            self._tries.succeeded()
            self._say(f"{self._who} goes on")


def _words(error: BaseException) -> str:
    """What went wrong and what to do, in one line."""
    if isinstance(error, Replaced):
        return error.message
    refused = error if isinstance(error, HiveError) else disk.refusal(error)
    text = str(error if refused is None else refused).replace("\n", " ")
    return f"{text} It goes on by itself when it can."
