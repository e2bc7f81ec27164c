"""What the machine offers to the embedded backend, in words for `hive doctor`."""

from __future__ import annotations

import os
from collections.abc import Iterator

from hive_agent.clis import CLIS
from hive_core.containers.local import cgroups, doors, programs
from hive_core.containers.local.probe import attempts
from hive_core.containers.local.sandbox import Sandbox
from hive_core.errors import HiveError
from hive_core.settings import Settings

_LIMITS = {"memory": float(2**30), "pids": 100.0, "cpu": 1.0}


def look(settings: Settings) -> Iterator[tuple[str, bool | None, str]]:
    """Each thing that matters: (what, whether it is as it should be, in words); None for what is not needed."""
    yield from (_cli(settings, name) for name in CLIS)
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


def _cli(settings: Settings, name: str) -> tuple[str, bool | None, str]:
    try:
        found = programs.find(settings, name)
    except HiveError as error:
        return name, False, error.message
    missing = (
        f"not found: agents with the runner {name} wait for it; install it where the PATH of `hive` has it"
        f" (npm has it as {CLIS[name].package}), then restart them"
    )
    return (name, None, missing) if found is None else (name, True, str(found))


def _limit(controller: str, value: float) -> tuple[bool, str]:
    """Set one limit on a group with nothing in it, for real."""
    try:
        folders, notice = cgroups.create(f"hive-doctor-{os.getpid()}", {controller: value})
    except HiveError as error:
        return False, error.message
    cgroups.remove(folders)
    return (True, "can be set") if notice is None else (False, notice)
