"""Supervisors as seen by whoever starts and stops them: held by descriptor, asked to end, made to end."""

from __future__ import annotations

import os
import select

from hive_core.containers.local.records import Run
from hive_core.errors import HiveError

# What a supervisor gets to clean up after a kill, before it is killed too.
_CLEANUP = 15.0
_TERM, _KILL, _USR1 = 15, 9, 10


def hold(run: Run) -> int | None:
    """A descriptor of a run's supervisor, or None when it has ended."""
    try:
        supervisor = os.pidfd_open(run.supervisor.pid)
    except ProcessLookupError:
        return None
    # The number may have passed to another process before the descriptor was open, not after.
    if run.supervisor.alive():
        return supervisor
    os.close(supervisor)
    return None


def end(supervisor: int, grace: float) -> None:
    """Have a supervisor end its container: SIGTERM, after `grace` seconds SIGKILL, and then it too."""
    for number, seconds in ((_TERM, grace), (_USR1, _CLEANUP), (_KILL, _CLEANUP)):
        if number == _TERM and grace <= 0:
            continue
        _signal(supervisor, number)
        if _ended(supervisor, seconds):
            return
    raise HiveError("A supervisor does not end; it is stuck in the kernel.")


def _signal(process: int, number: int) -> None:
    import signal

    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return  # it has ended meanwhile, and its descriptor is readable


def _ended(process: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(seconds * 1000))
