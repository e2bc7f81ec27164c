"""What the processes of a container are at: all that its first process has begotten, and what they have used."""

from __future__ import annotations

from pathlib import Path

from hive_core.containers.base import Activity
from hive_core.process import lines_of, shows_removed, used_by

# How many processes of a container are looked at: it may have many more.
_MOST = 4096


def of(leader: int) -> Activity:
    """The processes below a container's first one, and the seconds of the processor that they have used."""
    found = _below(leader)
    return Activity(sum(used_by(pid) or 0.0 for pid in found), frozenset(found))


def holds_removed(leader: int, target: str) -> bool:
    """Whether a container shows, at `target`, a folder that has been removed from the machine since.

    Only the container's own first process is asked, which is its systemd: the agent's could be many, with a great
    many mounts of their own.
    """
    return any(shows_removed(pid, target) for pid in _children(leader)[:1])


def _below(leader: int) -> list[int]:
    """A process and all that it, and they, have begotten."""
    found = [leader]
    for pid in found:
        found += _children(pid)
        if len(found) > _MOST:
            break
    return found[:_MOST]


def _children(pid: int) -> list[int]:
    # Each thread has the children that it made (proc(5)).
    lines = (
        line for task in Path(f"/proc/{pid}/task").glob("*") for line in lines_of(pid, f"task/{task.name}/children")
    )
    return [int(word) for line in lines for word in line.split()]
