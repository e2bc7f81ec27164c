"""Rebuilding an agent: what is deployed is built again, on the base that the meta flake names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from hive_core import disk, progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes.building import build_deployed, built_with, deployed, switch_to_deployed
from hive_fleet.changes.locking import is_settled, stage
from hive_fleet.changes.running import act, agree, before
from hive_fleet.events.precondition import NotAsShown
from hive_fleet.flake import meta
from hive_fleet.messages.messages import kick, tell


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What a rebuild in a row of several came to. error: why it failed, None when it did not."""

    name: str
    ok: bool
    error: str | None


def build_together(hive: Hive, names: Sequence[str]) -> None:
    """Build what several rebuilds will switch to, where that is quicker at once; what fails is theirs to tell."""
    from hive_core.git.repository import Repository

    try:
        found = {name: hive.applied_path(name) for name in names}
        builds = {name: (path, Repository(path).main()) for name, path in found.items()}
        hive.host.build_together(builds, meta.lock(hive))
    except (HiveError, OSError) as error:
        hive.say(f"warning: the agents are built one by one: {error}")


def rebuild_one(hive: Hive, name: str) -> Rebuilt:
    """Rebuild one of several: that it fails stops no other."""
    try:
        rebuild_again(hive, name)
    except HiveError as error:
        hive.say(f"warning: {name} was not rebuilt: {error}")
        return Rebuilt(name, False, str(error))
    return Rebuilt(name, True, None)


def rebuild_again(hive: Hive, name: str, as_of: int | None = None) -> None:
    """Rebuild an agent, whoever wants it; the manager hears of it when that fails, too. Raises HiveError.

    as_of: as `act` has it.
    """
    with telling(hive, name):
        act(hive, name, REBUILD, as_of)


@contextmanager
def telling(hive: Hive, name: str) -> Iterator[None]:
    """Have the manager hear of what the block fails with. Raises HiveError, for what the machine refuses, too."""
    try:
        yield
    except NotAsShown:
        raise  # Nothing was begun, so there is nothing to hear of.
    except (HiveError, OSError, sqlite3.Error) as error:
        told = disk.told(error)
        if told is None:
            raise
        tell_not_rebuilt(hive, name, told)
        if told is error:
            raise
        raise told from error


def tell_not_rebuilt(hive: Hive, name: str, error: HiveError) -> None:
    """Tell the manager that an agent could not be rebuilt, and why; as far as that can be written down."""
    try:
        with hive.store.write() as db:
            if name in table.names(db):
                tell(hive, db, "rebuilt", name, ok=False, note=str(error))
    except (HiveError, sqlite3.Error) as refused:
        hive.say(f"warning: the manager could not be told: {refused}")


def _lock(hive: Hive, doing: InProgress) -> None:
    """Lock what the container has now, and tell of it in the transaction that ends the rebuild.

    The flake is held only for that: nobody else has to wait for the container.
    """
    name, moved = doing.agent, False
    revision = deployed(hive, name)
    # Of many that are rebuilt for the input `hive` none has anything to change: so none waits for another.
    if not is_settled(hive, name, revision):
        with meta.opened(hive, f"rebuilding {name}") as flake:
            stage(hive, flake, name)
            moved = flake.commit(f"rebuild {name} {revision[:12]}")
    record_build = built_with(hive, name, revision)
    with progress.concluding(hive, name) as db:
        if moved:
            meta.announce(hive, db)
        record_build(db)
        tell(hive, db, "rebuilt", name, ok=True, sha=revision)
        kick(db, name, "rebuilt")


def _recover_rebuild(hive: Hive, left: InProgress) -> str:
    """Bring the container to one state; where that is a new start, after a process that died, it is what was wanted."""
    outcome = agree(hive, left)
    anew = before(hive, left.agent)["started_at"] != left.detail["started_at"]
    if outcome != "agreed" or not anew or left.owner.alive():
        return outcome
    _lock(hive, left)
    return "rebuilt"


# A take-over ends with them, too.
TASKS = (Task("building", build_deployed), Task("switching", switch_to_deployed), Task("locking", _lock))
REBUILD = Change(f"{__name__}:REBUILD", "rebuilding", _recover_rebuild, after_operation, TASKS)
