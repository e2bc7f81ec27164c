"""What the processes of a container are at: all that its first process has begotten, and what they have used."""

from __future__ import annotations

import os
from pathlib import Path

from hive_core.containers.base import Activity

_TICKS = os.sysconf("SC_CLK_TCK")


# How many processes of a container are looked at: it may have many more.
_MOST = 4096


def of(leader: int) -> Activity:
    """The processes below a container's first one, and the seconds of the processor that they have used."""
    found, used = _below(leader), 0.0
    for pid in found:
        stat = _read(pid, "stat")
        used += sum(map(int, stat.rpartition(")")[2].split()[11:15])) / _TICKS if stat else 0.0
    return Activity(used, frozenset(found))


def holds_removed(leader: int, target: str) -> bool:
    """Whether a container shows, at `target`, a folder that has been removed from the machine since.

    Linux says so where it lists a process's mounts (proc(5), mountinfo): what is gone has `//deleted` at its end.
    """
    for pid in _below(leader):
        for fields in (line.split(" ") for line in _read(pid, "mountinfo").splitlines()):
            if fields[4] == target:
                return fields[3].endswith("//deleted")
    return False


def _below(leader: int) -> list[int]:
    """A process and all that it, and they, have begotten."""
    found = [leader]
    for pid in found:
        # Each thread has the children that it made (proc(5)).
        for task in Path(f"/proc/{pid}/task").glob("*"):
            found += map(int, _read(pid, f"task/{task.name}/children").split())
        if len(found) > _MOST:
            break
    return found[:_MOST]


def _read(pid: int, file: str) -> str:
    """What a file of a process says, nothing once the process is gone."""
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError):
        return ""
