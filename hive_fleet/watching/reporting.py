"""What a watch tells the service manager that has started it: that it goes round, and how the fleet is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from hive_core import service_manager
from hive_core.context import Hive
from hive_core.human import count
from hive_fleet.agents import table
from hive_fleet.needs import needs

# Microseconds that it may take to bring everything up: so many agents, each with its build.
LONG = 3600 * 1_000_000


class Reporting:
    """Tells it after each round. What hangs in a round is not told of, and after a while taken for stuck."""

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._watchdog = service_manager.watchdog()

    def goes_round(self) -> None:
        """The watch has come round, with or without trouble."""
        if self._watchdog is not None:
            service_manager.notify("WATCHDOG=1")

    def looked(self) -> None:
        """The watch has looked at everything: say how that is."""
        if service_manager.is_listening():
            service_manager.notify(f"STATUS={status(self._hive)}")

    @contextmanager
    def taking_long(self) -> Iterator[None]:
        """What the block does takes as long as it takes."""
        if self._watchdog is None:
            yield
            return
        service_manager.notify(f"WATCHDOG_USEC={LONG}")
        try:
            yield
        finally:
            service_manager.notify(f"WATCHDOG_USEC={self._watchdog}", "WATCHDOG=1")


def status(hive: Hive) -> str:
    """The fleet in one line: `3 agents, 1 needs you`."""
    with hive.store.read() as db:
        agents = len(table.names(db))
        needed = sum(not need.ok for need in needs.waiting(db))
    return f"{count(agents, 'agent')}, {needed or 'nothing'} need{'' if needed > 1 else 's'} you"
