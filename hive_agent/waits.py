"""Ways to end a wait at once: pipes that a signal handler or another thread writes to."""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping

from hive_agent.errors import Stopped
from hive_agent.signal_pipe import open_pipe


class Poke:
    """A flag whose raising can be waited for with select. Safe in a signal handler and in any thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.raised = False

    def fileno(self) -> int:
        return self._read

    def set(self) -> None:
        self.raised = True
        try:
            os.write(self._write, b"x")
        except BlockingIOError:
            # The pipe is full, so whoever waits is awake already.
            return

    def clear(self) -> None:
        self.raised = False
        self.drain()

    def drain(self) -> None:
        """Make the next select wait again; the flag stays as it is."""
        try:
            while os.read(self._read, 4096):
                continue
        except BlockingIOError:
            return


class Waits:
    """What ends every wait of the harness, now and from now on, by raising Stopped."""

    def __init__(self) -> None:
        self._poke = Poke()

    @property
    def stopping(self) -> bool:
        return self._poke.raised

    def stop(self) -> None:
        self._poke.set()

    def check(self) -> None:
        """Raise Stopped when the harness was asked to stop."""
        if self.stopping:
            raise Stopped("The harness was asked to stop.")

    def readable(self, descriptor: int, seconds: float) -> bool:
        """Wait until `descriptor` can be read; False after `seconds`. Raises Stopped."""
        ready = select.select([descriptor, self._poke.fileno()], [], [], max(0.0, seconds))[0]
        self.check()
        return descriptor in ready

    def pause(self, seconds: float) -> None:
        """Do nothing for `seconds`. Raises Stopped."""
        select.select([self._poke.fileno()], [], [], max(0.0, seconds))
        self.check()

    def pause_until(self, moment: float) -> None:
        """Do nothing until `moment` (unix seconds); when the clock is set meanwhile, not longer. Raises Stopped."""
        end = time.monotonic() + moment - time.time()
        while (left := min(moment - time.time(), end - time.monotonic())) > 0:
            self.pause(min(left, 30.0))


def on_signals(actions: Mapping[int, Callable[[], object]]) -> None:
    """Have a thread act on signals, at once, whatever the main thread waits in."""
    numbers, _ = open_pipe(actions)

    def obey() -> None:
        while number := os.read(numbers, 1):
            if number[0] in actions:
                actions[number[0]]()

    threading.Thread(target=obey, name="signals", daemon=True).start()
