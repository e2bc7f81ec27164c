"""In which container a process runs, whatever it has done since it was started there."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hive_core.containers.local import records
from hive_core.containers.local.tree import children_of
from hive_core.process import Owner, fields_of, lines_of, shows_removed

# As cgroups.place makes them; another hive's on this machine, too.
_GROUP = re.compile(r"hive-[0-9a-f]{16}-([a-z][a-z0-9-]*)")
_TRIES = 100
# Between the supervisor and the program: the one that builds the sandbox, and the sandbox's pid 1.
_OF_THE_SANDBOX = 2


def container_of(pid: int, root: Path) -> str | None:
    """The name of the container that this process runs in, None for a process of the machine's own.

    root: the folder of the containers. Whoever asks holds a descriptor of the process, and looks afterwards whether
    it still runs: else what was read may be of another process that got its number.
    """
    # A process can leave neither its control group, which it does not see, nor its ancestors: what its parent leaves
    # behind goes to its namespace's first process, or to the subreaper.
    return _by_group(pid) or _by_ancestors(pid, root)


def _by_group(pid: int) -> str | None:
    # Those that this process is in itself say nothing: hive may run in an agent of another hive.
    for group in _groups(pid) - _groups(os.getpid()):
        if found := _GROUP.fullmatch(group):
            return found[1]
    return None


def _groups(pid: int) -> set[str]:
    return {part for line in lines_of(pid, "cgroup") for part in line.split(":", 2)[2].split("/")}


def _by_ancestors(pid: int, root: Path) -> str | None:
    firsts = dict(_firsts(root))
    return next((firsts[owner] for owner in _ancestors(pid) if owner in firsts), None)


def _firsts(root: Path) -> Iterator[tuple[Owner, str]]:
    """The processes that containers run below: (process, name)."""
    for folder in root.iterdir() if root.is_dir() else ():
        if (run := records.read_run(folder)) is not None:
            yield run.supervisor, folder.name
        for mark in (folder / "entered").glob("*.json"):
            with suppress(FileNotFoundError):
                yield Owner.from_json(mark.read_text()), folder.name


def _ancestors(pid: int) -> list[Owner]:
    """The process and those above it, as far as they may be looked at."""
    boot = Owner.current().boot
    for _ in range(_TRIES):
        found: list[Owner] = []
        at = pid
        while at > 0 and (stat := _stat(at)) is not None:
            parent, started = stat
            # A child is younger than its parent: an older one is somebody else, with the number of one that ended.
            if found and started > found[-1].started:
                break
            found.append(Owner(at, started, boot))
            at = parent
        if at <= 0:
            return found
    return found


def _stat(pid: int) -> tuple[int, int] | None:
    """The parent of a process and when it was started; also of one whose first thread alone has ended, a zombie."""
    fields = fields_of(pid)
    return None if fields is None else (int(fields[1]), int(fields[19]))


def holds_removed(supervisor: int, target: str) -> bool:
    """Whether a container shows, at `target`, a folder that has been removed from the machine since.

    Only the sandbox's own two processes are asked: the agent's could be many, with a great many mounts of their own.
    """
    at = [supervisor]
    for _ in range(_OF_THE_SANDBOX):
        at = children_of(at[0])
        if not at:
            return False
        try:
            # The sandbox's first process sees the machine, where something else may be mounted there.
            if shows_removed(at[0], target):
                return True
        except OSError:
            return False
    return False


@contextmanager
def entering(folder: Path) -> Iterator[None]:
    """Have everything that this process starts meanwhile count as a part of the container in `folder`."""
    marks = folder / "entered"
    marks.mkdir(mode=0o700, exist_ok=True)
    for mark in marks.glob("*.json"):
        if not Owner.from_json(mark.read_text()).alive():
            mark.unlink(missing_ok=True)
    mark = marks / f"{os.getpid()}.json"
    records.replace(mark, json.loads(Owner.current().to_json()))
    try:
        yield
    finally:
        mark.unlink(missing_ok=True)
