"""A page's port: tried again while something else has it, as what ran before may for a moment."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from hive_agent.back_off import BackOff

TRIES = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0

Bound = TypeVar("Bound")


def bind(port: int, make: Callable[[int], Bound], pause: Callable[[float], None], say: Callable[[str], None]) -> Bound:
    """Make what listens on the port, trying again while that is in use; `pause` waits, `say` tells of it, once.

    Raises OSError: EADDRINUSE after the last of 12 tries, any other at once.
    """
    tries = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
    for number in range(TRIES - 1):
        try:
            return make(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        if number == 0:
            say(f"port {port} is in use; it is tried again for a while")
        pause(tries.failed())
    return make(port)
