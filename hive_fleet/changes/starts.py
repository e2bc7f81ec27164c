"""Starting agents: because somebody wants it, again after a crash, and all that should run and do not."""

from __future__ import annotations

from hive_core.containers.base import GRACE
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import desired, table
from hive_fleet.changes.running import RECONNECTING, RESTARTING, STARTING, act
from hive_fleet.messages.messages import tell_manager


def start(hive: Hive, name: str, *, looked_after: bool, as_of: int | None = None) -> None:
    """Start an agent's container; nothing happens when it runs. Raises NotFound, or what the start failed with.

    looked_after: somebody has looked after the agent; else its crashes go on being counted. as_of: as `act` has it.
    """
    with hive.store.read() as db:
        # The manager was told with the crash that it is going to be started again.
        quiet = bool(table.one(db, name)["restart_told"]) and not looked_after
    act(hive, name, STARTING, as_of, quiet=quiet, looked_after=looked_after)


def restart(hive: Hive, name: str, *, grace: float, as_of: int | None = None) -> None:
    """Stop an agent's container, if it runs, and start it with the configuration it has: somebody looks after it.

    as_of: as `act` has it.
    """
    act(hive, name, RESTARTING, as_of, grace=grace, looked_after=True)


def start_again(hive: Hive, name: str) -> None:
    """Start an agent that has crashed. If that fails, the manager is told."""
    try:
        start(hive, name, looked_after=False)
    except HiveError as error:
        hive.say(f"warning: {name} could not be restarted: {error}")
        with hive.store.write() as db:
            tell_manager(hive, db, "started", agent=name, ok=False, note=str(error))


def reconnect(hive: Hive, name: str) -> None:
    """Restart an agent that can reach its socket no more, because the folder of it was removed; a failure is told."""
    hive.say(f"warning: the folder of {name}'s socket was removed; {name} is restarted to see the new one")
    try:
        act(hive, name, RECONNECTING, grace=GRACE, note="the folder of its socket had been removed")
    except HiveError as error:
        hive.say(f"warning: {name} could not be restarted: {error}")


def start_all(hive: Hive) -> None:
    """Start every agent that should run and does not, the manager first; one that fails stops no other."""
    with hive.store.read() as db:
        names = desired.names(db, desired.RUNNING, desired.RESTING)
    containers = hive.host.containers()
    for name in names:
        if name in containers and containers[name].running:
            continue
        try:
            start(hive, name, looked_after=True)
        except HiveError as error:
            hive.say(f"warning: {name} could not be started: {error}")
