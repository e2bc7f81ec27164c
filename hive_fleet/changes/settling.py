"""Settling: what was just switched to is watched for a moment, and counts as deployed when it has not died in it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from hive_core import progress
from hive_core.containers.base import HARNESS_UNITS, Container
from hive_core.context import Hive
from hive_core.errors import BuildFailed, HiveError, NotFound
from hive_core.text import indented
from hive_core.wake import Wake
from hive_fleet.agents import table

LAST_LINES = 20


def settle(hive: Hive, name: str, seconds: float) -> None:
    """Wait until a container has lived for `seconds` since it was switched to.

    The wait ends early when its harness says that it is there, when it has done its work and ended with 0, and when
    somebody else has to get at the agent. Raises BuildFailed when it has ended otherwise.
    """
    end = time.monotonic() + seconds
    with Wake(hive.store) as wake, _exit(hive, name) as alive:
        ended = not alive
        while not _has_settled(hive, name, ended) and (left := end - time.monotonic()) > 0:
            ended = bool(wake.wait(left, also=alive))


def _has_settled(hive: Hive, name: str, ended: bool) -> bool:
    """Whether there is nothing more to wait for. ended: the container has. Raises BuildFailed."""
    with hive.store.read() as db:
        row = table.find(db, name)
        hurried = progress.is_hurried(db, name)
    if hurried or row is None or row["desired"] != "running":
        # Whoever wants to stop it may have done so already: that says nothing of the configuration.
        return True
    if not ended:
        return row["state"] is not None
    container = hive.host.container(name)
    if container is not None and container.ended is not None:
        if container.ended.code is None:
            raise HiveError(f"{name} ended as soon as it was started: {container.ended.cause}.", "Try again.")
        if container.ended.code != 0:
            raise BuildFailed(_died(hive, container), f"See `hive journal {name}`.")
    return True


def _died(hive: Hive, container: Container) -> str:
    assert container.ended is not None
    told = f"{container.name} ended as soon as it was started: {container.ended.cause}."
    lines = last_lines(hive, container.name, container)
    return told + (f" The last that it wrote:\n{indented(lines)}" if lines else " It wrote nothing.")


def last_lines(hive: Hive, name: str, container: Container | None) -> str:
    """The last lines of the run that has ended, not those of runs before; of all where another has begun."""
    since = 0.0 if container is None or container.running else container.started_at or 0.0
    try:
        return "\n".join(hive.host.journal(name, LAST_LINES, HARNESS_UNITS, since=since))
    except NotFound:
        return ""  # It was destroyed in this moment.


@contextmanager
def _exit(hive: Hive, name: str) -> Iterator[list[int]]:
    """A descriptor that becomes readable when the container ends; none when it has ended already."""
    descriptors = list(hive.host.exits([name]).values())
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
