"""Removing an agent, and what was kept of it: carried out, and finished after whoever began it has died."""

from __future__ import annotations

from hive_core.changes import Change, InProgress, Task, gone_on_with
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.agents.tombstones import announcing_tombstones
from hive_fleet.changes.locking import fleet
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages.messages import forget_inbox, shrink_inbox, tell


def _remove_container(hive: Hive, doing: InProgress) -> None:
    hive.host.destroy(doing.agent)
    with hive.store.write() as db:
        if table.remove(db, doing.agent):
            tell(hive, db, "destroyed", doing.agent, note="purged" if _is_purged(hive, doing) else None)


def _leave_meta(hive: Hive, doing: InProgress) -> None:
    """Render the meta flake without the agent. The destroy stands whatever comes of it."""
    name = doing.agent
    try:
        with meta.opened(hive, f"forgetting {name}") as flake:
            flake.stage(fleet(hive, flake))
            flake.commit(f"destroy {name}")
    except HiveError as error:
        hive.say(f"warning: {name} is destroyed, but is still an input of the meta flake: {error}")
        return
    with hive.store.write() as db:
        meta.announce(hive, db)


def _is_purged(_hive: Hive, doing: InProgress) -> bool:
    return bool(doing.detail["purge"])


def _remove_the_rest(hive: Hive, doing: InProgress) -> None:
    folders.remove(hive, doing.agent)
    shrink_inbox(hive, doing.agent)


def _tell_destroyed(hive: Hive, doing: InProgress) -> None:
    with announcing_tombstones(hive, doing.agent) as db:
        if _is_purged(hive, doing):
            forget_inbox(db, doing.agent)


def _tell_purged(hive: Hive, doing: InProgress) -> None:
    with announcing_tombstones(hive, doing.agent) as db:
        forget_inbox(db, doing.agent)
        tell(hive, db, "purged", doing.agent)


# Half a container is of no use to anybody. purge: what a destroy keeps is removed, too.
DESTROY = Change(
    f"{__name__}:DESTROY",
    "destroying",
    gone_on_with("destroyed"),
    after_operation,
    (
        Task("removing", _remove_container),
        Task("locking", _leave_meta),
        Task("purging", _remove_the_rest, _is_purged),
        Task(None, _tell_destroyed),
    ),
)
# What was kept of an agent that was destroyed.
PURGE = Change(
    f"{__name__}:PURGE",
    "destroying",
    gone_on_with("purged"),
    after_operation,
    (Task(None, _remove_the_rest), Task(None, _tell_purged)),
)
