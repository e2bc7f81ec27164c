"""What the machine offers to the embedded backend, in words for `hive doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hive_core.containers.local import cgroups, doors
from hive_core.containers.local.probe import attempts
from hive_core.containers.local.sandbox import Sandbox
from hive_core.errors import HiveError

_LIMITS = {"memory": float(2**30), "pids": 100.0, "cpu": 1.0}


def look() -> Iterator[tuple[str, bool, str]]:
    """Each thing that matters: (what, whether it is as it should be, in words)."""
    failed: list[tuple[str, str]] = []
    for sandbox, failure in attempts():
        if failure is None:
            missing = "".join(f" {name} does not work: {reason}." for name, reason in failed)
            yield "sandbox", sandbox is not Sandbox.NONE, sandbox.sentence + missing
            break
        failed.append((sandbox.value, failure))
    yield from doors.look()
    for controller, value in _LIMITS.items():
        yield (f"limit of {controller}", *_limit(controller, value))


def _limit(controller: str, value: float) -> tuple[bool, str]:
    """Set one limit on a group with nothing in it, for real."""
    try:
        folders, notice = cgroups.create(f"hive-doctor-{os.getpid()}", {controller: value})
    except HiveError as error:
        return False, error.message
    cgroups.remove(folders)
    return (True, "can be set") if notice is None else (False, notice)
