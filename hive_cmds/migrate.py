"""Migration: a layout made before the meta flake becomes this one, container by container."""

from __future__ import annotations

from hive_cmds.lifecycle import rebuild_held, tell_not_rebuilt
from hive_cmds.updates import Rebuilt
from hive_core.arguments import agent_name
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import OPERATOR, operation
from hive_core.progress import InProgress, exclusive, recovery
from hive_core.settings import MANAGER
from hive_fleet.agents import table
from hive_fleet.home import folders

# There while a migration runs, so that one that was cut short is gone on with.
MARKER = "migrating"
MIGRATE = "migrate"


@operation(
    callers=OPERATOR,
    group="Meta",
    columns=("name", "ok", "error"),
    empty="Nothing to take over: the meta flake has every agent.",
)
def migrate(hive: Hive) -> list[Rebuilt]:
    """Take over agents whose applied repositories were made before the meta flake; again is as good as once."""
    waiting = _waiting(hive)
    marker = hive.settings.home / MARKER
    if waiting:
        marker.touch()
    results = [_take_over(hive, name) for name in waiting]
    marker.unlink(missing_ok=True)
    return results


def _waiting(hive: Hive) -> list[str]:
    """Applied repositories that no agent has yet, the manager's first.

    Once there is a meta flake, one that it does not name belongs to a destroyed agent; unless a migration
    was cut short.
    """
    settings = hive.settings
    if not settings.applied.exists() or (settings.meta.exists() and not (settings.home / MARKER).exists()):
        return []
    with hive.store.read() as db:
        known = set(table.names(db))
    found = [path.name for path in settings.applied.iterdir() if path.is_dir() and path.name not in known]
    return sorted((agent_name(name) for name in found), key=lambda name: (name != MANAGER, name))


def _take_over(hive: Hive, name: str) -> Rebuilt:
    hive.say(f"migrating {name}")
    try:
        with exclusive(hive, name, "rebuilding", recovery=MIGRATE):
            _enlist(hive, name)
            rebuild_held(hive, name)
    except HiveError as error:
        hive.say(f"warning: {name} was not rebuilt: {error}")
        tell_not_rebuilt(hive, name, error)
        return Rebuilt(name, False, str(error))
    return Rebuilt(name, True, None)


@recovery(MIGRATE)
def _recover(hive: Hive, left: InProgress) -> str:
    """A take-over that began is finished; what cannot be built is an agent all the same, and shows as failed."""
    _enlist(hive, left.agent)
    try:
        rebuild_held(hive, left.agent)
    except HiveError as error:
        hive.say(f"warning: {left.agent} was not rebuilt: {error}")
        return f"not rebuilt: {error.message}"
    return "rebuilt"


def _enlist(hive: Hive, name: str) -> None:
    with hive.store.write() as db:
        db.execute(
            "insert or ignore into agents (name, uid, desired, created_at) values (?, ?, 'running', ?)",
            (name, folders.allot_uid(hive, db, name), hive.clock()),
        )
        uid, manager_uid = folders.uid_of(db, name), folders.uid_of(db, MANAGER)
    folders.ensure_state(hive, name, uid, new=False)
    folders.ensure_repositories(hive, name, manager_uid)
