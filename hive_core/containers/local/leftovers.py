"""What containers keep and need no more: builds that nothing names, and what a kill has left half-way."""

from __future__ import annotations

from pathlib import Path

from hive_core.containers.base import Lock
from hive_core.containers.local import generations, harness, records
from hive_core.hostile_folders import measure
from hive_core.settings import Settings


def of_container(folder: Path, *, dry: bool) -> int:
    """Remove those of the container in this folder, which the caller holds; returns how many bytes they take up."""
    doomed = folder.with_name(f".{folder.name}")
    freed = measure(doomed).size
    if not dry:
        generations.remove(doomed)
    container = records.read_container(folder)
    # One that has no build which it would start with is just being made.
    if container is None:
        return freed
    return freed + _all_but(folder / "generations", {container.revision, container.next_revision}, dry=dry)


def shared(settings: Settings, lock: Lock, *, dry: bool) -> int:
    """Remove the exported harnesses that nothing names; returns how many bytes they take up."""
    with harness.alone(settings) as store:
        return _all_but(store, {lock.hive, *harness.all_used(settings)}, dry=dry)


def _all_but(folder: Path, kept: set[str | None] | set[str], *, dry: bool) -> int:
    doomed = [path for path in folder.iterdir() if path.name not in kept] if folder.is_dir() else []
    freed = sum(measure(path).size for path in doomed)
    if doomed and not dry:
        generations.prune(folder, {name for name in kept if name is not None})
    return freed
