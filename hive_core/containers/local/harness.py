"""The harness that runs in containers: exported once for each locked revision of hive, below `$HIVE_HOME/revisions`.

What lies in a checkout is never shown to an agent: it may be edited, pulled, or readable by root alone.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hive_agent import atomic
from hive_core import shared_folder
from hive_core.containers.base import Lock
from hive_core.containers.local import generations, records
from hive_core.errors import BuildFailed, HiveError
from hive_core.settings import Settings

FOLDER = "hive_agent"


def export(settings: Settings, lock: Lock) -> Path:
    """The folder of the harness at the locked revision, made when it is not there yet.

    It is missing in a revision that has none. Raises HiveError when no repository has that revision any more.
    """
    with alone(settings) as store:
        return _exported(store, lock)


def use(settings: Settings, container: Path, lock: Lock) -> Path:
    """The folder of the harness for whoever is about to be started in a container; what nothing uses is removed.

    One that runs keeps what it was started with, and so does what is started beside it.
    """
    with alone(settings) as store:
        before, known = records.harness(container), records.read_container(container)
        if before is not None and known is not None and known.running and (store / before).is_dir():
            return store / before / FOLDER
        found = _exported(store, lock)
        if before != lock.hive:
            atomic.link(container / records.HARNESS, f"../../revisions/{lock.hive}")
            generations.prune(store, {lock.hive, *all_used(settings)})
        return found


def all_used(settings: Settings) -> set[str]:
    """The revisions that containers were last started with."""
    if not settings.containers.is_dir():
        return set()
    return {revision for folder in settings.containers.iterdir() if (revision := records.harness(folder)) is not None}


def _exported(store: Path, lock: Lock) -> Path:
    target = store / lock.hive
    if not target.is_dir():
        try:
            generations.write_whole(target, _files(lock))
        except BuildFailed as error:
            # No agent's configuration is to blame for what hive itself is made of.
            raise HiveError(error.message, error.hint) from error
    return target / FOLDER


def _files(lock: Lock) -> list[tuple[str, int, bytes]]:
    from hive_core.git.foreign import files_below

    for repository in lock.repositories:
        found = files_below(repository, lock.hive, FOLDER)
        if found is not None:
            return found
    looked = ", ".join(map(str, lock.repositories))
    raise HiveError(
        f"The revision {lock.hive[:12]} of hive, which the meta flake locks, is in no repository here ({looked}).",
        "Fetch it there, or `hive meta-update hive` locks the newest one and rebuilds every agent with it.",
    )


@contextmanager
def alone(settings: Settings) -> Iterator[Path]:
    """Keep every other process from exporting and removing meanwhile: each looks at what the others use."""
    store = settings.home / "revisions"
    shared_folder.make(store)
    descriptor = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield store
    finally:
        os.close(descriptor)
