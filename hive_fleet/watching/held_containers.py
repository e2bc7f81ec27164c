"""The running containers of which the watch holds a descriptor, so that it learns of each end at once."""

from __future__ import annotations

import errno
import os
import select

from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_fleet.agents.observation import Observation


class HeldContainers:
    """Containers that were seen running, each with a descriptor that becomes readable when it ends.

    A descriptor is opened once for each start and kept, so no end is missed between two waits. A container for which
    the backend has no descriptor is not held: the next look at everything finds its end.
    """

    def __init__(self, hive: Hive) -> None:
        self._hive = hive
        self._ends = select.epoll()
        self._kept: dict[str, tuple[Container, int]] = {}

    def close(self) -> None:
        """Let go of all."""
        for name in list(self._kept):
            self._let_go(name)
        self._ends.close()

    def fileno(self) -> int:
        """A descriptor that becomes readable when one of them has ended, and stays so until `hold` hears of that."""
        return self._ends.fileno()

    def ended(self) -> set[str]:
        """The agents whose containers have ended since they were held."""
        if not self._kept:
            return set()
        descriptors = {descriptor for descriptor, _ in self._ends.poll(0, len(self._kept))}
        return {name for name, (_, descriptor) in self._kept.items() if descriptor in descriptors}

    def running(self) -> dict[str, Container]:
        """The containers that still run as they were last seen."""
        ended = self.ended()
        return {name: container for name, (container, _) in self._kept.items() if name not in ended}

    def hold(self, observation: Observation, *, all_there_are: bool = False) -> set[str]:
        """Hold on to those that were observed running, let go of the others; returns who ended before it was held.

        all_there_are: whether who was not observed is gone.
        """
        ended = self.ended()
        gone = self._kept.keys() - observation.agents.keys() if all_there_are else set()
        missed = set()
        for name in gone:
            self._let_go(name)
        for name, seen in observation.agents.items():
            kept = self._kept.get(name)
            running = seen.container is not None and seen.container.running
            if (
                kept
                and seen.container
                and running
                and kept[0].instance == seen.container.instance
                and name not in ended
            ):
                self._kept[name] = (seen.container, kept[1])
                continue
            self._let_go(name)
            if seen.container is not None and running and not self._take(name, seen.container):
                missed.add(name)
        return missed

    def _take(self, name: str, container: Container) -> bool:
        """Open a descriptor; False when the container has ended by now."""
        try:
            descriptor = self._hive.host.exits([name]).get(name)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE):
                return True  # No descriptor is left: the next look at everything finds the end.
            raise
        if descriptor is None:
            # It has ended, or the backend has no descriptor for it.
            again = self._hive.host.container(name)
            return again is not None and again.running and again.instance == container.instance
        self._ends.register(descriptor, select.EPOLLIN)
        self._kept[name] = (container, descriptor)
        return True

    def _let_go(self, name: str) -> None:
        kept = self._kept.pop(name, None)
        if kept is not None:
            self._ends.unregister(kept[1])
            os.close(kept[1])
