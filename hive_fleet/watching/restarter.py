"""Restarts carried out, so that nobody else is kept from being watched by one that takes long."""

from __future__ import annotations

import threading
from contextlib import closing

from hive_core.context import Hive
from hive_fleet.agents import restarts
from hive_fleet.changes.starts import start_again

# Restarts that are under way at once.
MOST = 16


class Restarter:
    """Restarts, each in a thread: it waits for whoever is at work on the agent, and takes as long as its program likes.

    At most MOST are under way at once.
    """

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._room = threading.Semaphore(MOST)
        self._begun: list[str] = []
        self._errors: list[BaseException] = []

    def close(self) -> None:
        """Leave what has not ended to whoever watches next. The threads end with the process, as by a kill."""
        for name in set(self._begun):
            restarts.give_back(self._hive, name)

    def start(self, name: str) -> None:
        """Begin to restart an agent. Raises what an earlier restart has ended with that was no refusal."""
        if self._errors:
            raise self._errors.pop()
        self._begun.append(name)
        threading.Thread(target=self._start, args=(name,), name=f"restart {name}", daemon=True).start()

    def _start(self, name: str) -> None:
        try:
            with self._room, closing(self._hive.store):
                start_again(self._hive, name)
        except Exception as error:  # noqa: BLE001 - raised by the next `start`, for whoever watches
            self._errors.append(error)
        finally:
            self._begun.remove(name)
