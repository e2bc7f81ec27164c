"""Carries restarts out beside the watch, so that one that takes long does not hold the watch up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

from hive_core.context import Hive
from hive_fleet.agents import restarts
from hive_fleet.changes.starts import reconnect, start_again

# Restarts that are under way at once.
MOST_STARTS = 16


class Restarter:
    """Restarts agents, each in a thread of its own, as a restart may wait for another command on the agent.

    At most MOST_STARTS are under way at once.
    """

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._room = threading.Semaphore(MOST_STARTS)
        self._begun: list[str] = []
        self._errors: list[BaseException] = []

    def close(self) -> None:
        """Leave unfinished restarts to the next watch. Their threads end with the process, as if it had been killed."""
        for name in set(self._begun):
            restarts.give_back(self._hive, name)

    def start(self, name: str) -> None:
        """Begin to start an agent again. Raises the error of an earlier restart, unless that was only refused."""
        self._begun.append(name)
        self._begin(start_again, name)

    def reconnect(self, name: str) -> None:
        """Begin to restart an agent that runs and has lost its socket; raises as `start` does."""
        self._begin(reconnect, name)

    def _begin(self, restart: Callable[[Hive, str], None], name: str) -> None:
        if self._errors:
            raise self._errors.pop()
        threading.Thread(target=self._start, args=(restart, name), name=f"restart {name}", daemon=True).start()

    def _start(self, restart: Callable[[Hive, str], None], name: str) -> None:
        try:
            with self._room, closing(self._hive.store):
                restart(self._hive, name)
        except Exception as error:  # noqa: BLE001 - raised by the next `start`, for whoever watches
            self._errors.append(error)
        finally:
            if name in self._begun:
                self._begun.remove(name)
