"""What supervisors leave to be read by anybody at any time: who runs, and how the last run ended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from hive_agent import atomic
from hive_core.containers.base import Container, Ended
from hive_core.process import Owner, boot_id

# A link to the exported harness that a container was last started with.
HARNESS = "harness"


class Run(NamedTuple):
    """run.json: one start of a container. sandbox: the value of its Sandbox. started_at: unix seconds."""

    supervisor: Owner
    instance: str
    revision: str
    started_at: float
    sandbox: str


def read_run(folder: Path) -> Run | None:
    """The last start of the container in this folder, or None when there was none."""
    found = _read(folder / "run.json")
    if found is None:
        return None
    owner = found["supervisor"]
    supervisor = Owner(owner["pid"], owner["started"], owner["boot"])
    return Run(supervisor, found["instance"], found["revision"], found["started_at"], found["sandbox"])


def current(folder: Path) -> str | None:
    """The full sha of the revision the container has."""
    try:
        return (folder / "current").readlink().name
    except (FileNotFoundError, NotADirectoryError):
        return None


def harness(folder: Path) -> str | None:
    """The revision of hive that the container in this folder was last started with."""
    try:
        return (folder / HARNESS).readlink().name
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_container(folder: Path) -> Container | None:
    """The container in this folder as it is now, or None when it was never switched to a revision."""
    while True:
        revision = current(folder)
        if revision is None:
            return None
        run, hive = read_run(folder), harness(folder)
        if run is None:
            return Container(folder.name, False, None, revision, revision, None, None, hive)
        if run.supervisor.alive():
            return Container(folder.name, True, run.instance, run.revision, revision, run.started_at, None, hive)
        ended = _ended(folder, run)
        # Between two reads it may have been started again, and the end that was read may be that start's.
        if read_run(folder) == run:
            return Container(folder.name, False, None, revision, revision, run.started_at, ended, hive)


def _ended(folder: Path, run: Run) -> Ended:
    found = _read(folder / "exit.json")
    if found is not None and found["instance"] == run.instance:
        return Ended(found["code"], found["out_of_memory"], found["at"])
    # Killed before it could tell: the last sign of life is the best there is for the time.
    return Ended(None, False, run.started_at, machine_down=run.supervisor.boot != boot_id())


def read_all(root: Path) -> dict[str, Container]:
    """Every container below `root`, by name."""
    try:
        folders = sorted(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found = (read_container(folder) for folder in folders if not folder.name.startswith("."))
    return {container.name: container for container in found if container is not None}


def replace(path: Path, value: Any) -> None:
    """Write a record so that a reader finds the old one or the new one."""
    atomic.write(path, json.dumps(value))


def write_key(path: Path, key: str) -> None:
    """Write what only hive's own user may read."""
    atomic.write(path, key, mode=0o600)


def read_key(path: Path) -> str | None:
    """What `write_key` wrote last, or None when there is none."""
    try:
        return path.read_text().strip() or None
    except FileNotFoundError:
        return None


def read_list(path: Path) -> list[str]:
    """A record that is a list of texts; empty when there is none."""
    try:
        return [str(item) for item in json.loads(path.read_text())]
    except (FileNotFoundError, ValueError):
        return []


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError, ValueError):
        # Not JSON: written by a hive that did not wait for the disk before it gave the file its name.
        return None
    return found
