"""The limits of a container: what its configuration asks for, and what keeps one agent from taking the machine."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path

from hive_core.containers.config import Limits
from hive_core.containers.local import cgroups
from hive_core.errors import HiveError

# A build with a compiler for each core, a browser and the CLI together have some hundreds.
PROCESSES = 4096
# One agent may need nearly all for a build; what is left keeps the machine, and hive, answering.
SHARE_OF_MEMORY = 0.75
# By controller; those of the machine's groups that cannot be had are left out one after the other.
_OURS = (("memory", "pids"), ("pids",), ())


def create(group: str, asked: Limits, own: int) -> tuple[list[str], str | None]:
    """Make the control group of a container with its limits; returns its folders, and a sentence for its journal.

    own: how many of its processes are the sandbox's and do not count as the agent's.
    Raises HiveError when a limit that was asked for cannot be set; one of ours is done without, as `hive doctor` says.
    """
    wanted = {"memory": asked.memory, "pids": asked.processes, "cpu": asked.cpu}
    ours = {"memory": SHARE_OF_MEMORY * memory(), "pids": float(PROCESSES)}
    theirs = {name: value for name, value in wanted.items() if value is not None}
    for names in _OURS:
        limits = {name: ours[name] for name in names} | theirs
        try:
            folders, notice = cgroups.create(group, _finite(limits, own))
        except HiveError:
            if not names:
                raise
            continue
        return folders, notice if _finite(theirs, own) else None
    raise AssertionError("the last try is without limits of ours")


def _finite(limits: Mapping[str, float], own: int) -> dict[str, float]:
    found = {name: value for name, value in limits.items() if not math.isinf(value)}
    return found | ({"pids": found["pids"] + own} if "pids" in found else {})


def memory() -> int:
    """Bytes of memory that hive and its agents may use together: the machine's, or less by a limit on hive itself."""
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *_limits_on_us()])


def _limits_on_us() -> list[int]:
    found = []
    for folder in cgroups.parents_of("memory"):
        for file in ("memory.max", "memory.limit_in_bytes"):
            path = Path(folder, file)
            text = path.read_text().strip() if path.exists() else "max"
            if text.isdigit():
                found.append(int(text))
    return found
