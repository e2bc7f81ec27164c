"""What a caller sends, taken in with measure: one that sends much, or what is slow to read, holds up only itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from hive_core import wire

# Bytes of lines that a caller may have in work at once. As Python's objects they are up to 25 times as large.
MOST_HELD = 2 * 1024 * 1024
# What a line counts for beside its bytes: the call it becomes.
EACH = 4096
# All callers' lines are read in one thread. A line that took longer than a moment to read is followed by so many times
# as long in which nothing more of that caller's is read. In seconds.
MOMENT, REST = 0.001, 20


class Intake:
    """What one caller has sent that is still in work. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._held = 0
        self._left = asyncio.Condition()
        self._reading = asyncio.Lock()
        self._again = 0.0

    async def take(self, line: bytes) -> Any:
        """Wait until there is room for a line, and read it as JSON. Whoever gets the result calls `leave` when done.

        Raises ValueError or RecursionError for what is no JSON; there is nothing to leave then.
        """
        weight = len(line) + EACH
        async with self._left:
            await self._left.wait_for(lambda: not self._held or self._held + weight <= MOST_HELD)
            self._held += weight
        try:
            return await self._read(line)
        except BaseException:
            await self.leave(line)
            raise

    async def leave(self, line: bytes) -> None:
        """The work on a line is over."""
        async with self._left:
            self._held -= len(line) + EACH
            self._left.notify_all()

    async def _read(self, line: bytes) -> Any:
        async with self._reading:
            if (rest := self._again - time.monotonic()) > 0:
                await asyncio.sleep(rest)
            begun = time.monotonic()
            try:
                return wire.read(line)
            finally:
                ended = time.monotonic()
                if ended - begun > MOMENT:
                    self._again = ended + REST * (ended - begun)
                # One line of a caller's, from whichever of its connections, and everybody else has a turn.
                await asyncio.sleep(0)
