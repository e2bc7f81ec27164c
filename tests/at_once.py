"""Processes that do something at once: forked from the test's own, for an interpreter takes longer to start than most do."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable


def at_once(count: int, action: Callable[[int], object]) -> list[int]:
    """Have so many processes do something, each with its number, none before the last is there; their exit codes."""
    begin, told = os.pipe()
    children = [os.fork() or _do(action, number, begin, told) for number in range(count)]
    os.close(begin)
    os.close(told)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]


def _do(action: Callable[[int], object], number: int, begin: int, told: int) -> int:
    """Be one of them, from when the test has closed its end."""
    code = 1
    try:
        os.close(told)
        os.read(begin, 1)
        action(number)
        code = 0
    except BaseException:  # noqa: BLE001  (nobody else tells of it)
        traceback.print_exc()
    finally:
        os._exit(code)
