"""Removing an agent, and what was kept of it: carried out, and finished after whoever began it has died."""

from __future__ import annotations

from hive_core import progress
from hive_core.changes import Change, InProgress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.agents.tombstones import announcing_tombstones
from hive_fleet.changes.deploys import fleet
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages.messages import forget_inbox, shrink_inbox, tell


def _recover_destroy(hive: Hive, left: InProgress) -> str:
    """A destroy that began is finished: half a container is of no use to anybody."""
    destroy_held(hive, left.agent, left.detail["purge"])
    return "destroyed"


def destroy_held(hive: Hive, name: str, purge: bool) -> None:
    """Destroy an agent that the caller holds; again is as good as once."""
    hive.host.destroy(name)
    with hive.store.write() as db:
        if table.remove(db, name):
            tell(hive, db, "destroyed", name, note="purged" if purge else None)
    progress.reach(hive, name, "locking")
    _leave_meta(hive, name)
    if purge:
        progress.reach(hive, name, "purging")
        folders.remove(hive, name)
        shrink_inbox(hive, name)
    with announcing_tombstones(hive, name) as db:
        if purge:
            forget_inbox(db, name)


def _leave_meta(hive: Hive, name: str) -> None:
    """Render the meta flake without the agent. The destroy stands whatever comes of it."""
    try:
        with meta.opened(hive, f"forgetting {name}") as flake:
            flake.stage(fleet(hive))
            flake.commit(f"destroy {name}")
    except HiveError as error:
        hive.say(f"warning: {name} is destroyed, but is still an input of the meta flake: {error}")
        return
    with hive.store.write() as db:
        meta.announce(hive, db)


def _recover_purge(hive: Hive, left: InProgress) -> str:
    purge_held(hive, left.agent)
    return "purged"


def purge_held(hive: Hive, name: str) -> None:
    """Remove what was kept of a destroyed agent that the caller holds; again is as good as once."""
    folders.remove(hive, name)
    shrink_inbox(hive, name)
    with announcing_tombstones(hive, name) as db:
        forget_inbox(db, name)
        tell(hive, db, "purged", name)


DESTROY = Change(
    f"{__name__}:DESTROY", "destroying", _recover_destroy, after_operation, ("removing", "locking", "purging")
)
PURGE = Change(f"{__name__}:PURGE", "destroying", _recover_purge, after_operation)
