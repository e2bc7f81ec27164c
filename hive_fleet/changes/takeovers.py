"""Taking over an agent whose applied repository was made before the meta flake."""

from __future__ import annotations

from hive_core import progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import desired, halt, table, users
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.changes import rebuilds
from hive_fleet.changes.rebuilds import Rebuilt, tell_not_rebuilt
from hive_fleet.home import folders


def take_over(hive: Hive, name: str) -> Rebuilt:
    """Make it an agent of this layout, and rebuild it; what cannot be rebuilt is one all the same."""
    hive.say(f"migrating {name}")
    try:
        with progress.held(hive, name, MIGRATE.kind):
            progress.carry_out(hive, name, MIGRATE)
    except HiveError as error:
        hive.say(f"warning: {name} was not rebuilt: {error}")
        tell_not_rebuilt(hive, name, error)
        return Rebuilt(name, False, str(error))
    return Rebuilt(name, True, None)


def _recover(hive: Hive, left: InProgress) -> str:
    """A take-over that began is finished; what cannot be built is an agent all the same, and shows as failed."""
    _enlist(hive, left)
    try:
        for task in rebuilds.TASKS:
            task.work(hive, left)
    except HiveError as error:
        hive.say(f"warning: {left.agent} was not rebuilt: {error}")
        return f"not rebuilt: {error.message}"
    return "rebuilt"


def _enlist(hive: Hive, doing: InProgress) -> None:
    name, pool = doing.agent, hive.host.users()
    with hive.store.write() as db:
        if table.find(db, name) is None:
            uid = users.allot(hive, db, name, pool)
            table.add(db, name, uid=uid, desired=desired.RUNNING, created_at=hive.clock())
            halt.heed(db, name)
        known = table.users(db)
    folders.ensure(hive, name, known, new=False)


MIGRATE = Change(
    f"{__name__}:MIGRATE", "rebuilding", _recover, after_operation, (Task("preparing", _enlist), *rebuilds.TASKS)
)
