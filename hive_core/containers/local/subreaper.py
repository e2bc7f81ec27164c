"""What stands in for a pid namespace where there is no sandbox: adopts the program's orphans and kills them all."""

from __future__ import annotations

import os
import select
import time

from hive_core.containers.local.tree import below, close_all_but

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

_SET_CHILD_SUBREAPER = 36  # prctl(2)
_SECONDS = 10.0


def keep(start: Callable[[], NoReturn], lifeline: int) -> NoReturn:
    """Run `start` in a child, and end with its code as soon as it ends or `lifeline` is closed at its other end.

    Every process below is dead by then, also one that has left its session and its parent.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    program = os.fork()
    if program == 0:
        start()
    null = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    close_all_but(lifeline)
    os._exit(_wait(program, lifeline))


def _wait(program: int, lifeline: int) -> int:
    poll = select.poll()
    poll.register(lifeline, 0)
    poll.register(os.pidfd_open(program), select.POLLIN)
    ended = {descriptor for descriptor, _event in poll.poll()}
    code = 137 if lifeline in ended else os.waitstatus_to_exitcode(os.waitpid(program, 0)[1])
    kill_descendants()
    return 128 - code if code < 0 else code


def kill_descendants() -> None:
    """Kill every process below this one, which adopts what its parents leave behind."""
    deadline = time.monotonic() + _SECONDS
    while children := below(os.getpid()):
        for pid in children:
            _kill(pid)
        os.waitpid(-1, 0)
        if time.monotonic() > deadline:
            return


def _kill(pid: int) -> None:
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        return
