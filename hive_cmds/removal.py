"""`destroy`, `purge` and `tombstones`: removing an agent, what is kept of it, and removing that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hive_agent.clis import CLIS
from hive_core import hostile_folders, progress
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.human import size
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import table
from hive_fleet.agents.observation import found_login
from hive_fleet.agents.refusals import refuse_manager, refuse_unknown
from hive_fleet.agents.tombstones import DestroyedName, Tombstone, all_tombstones
from hive_fleet.changes import removals
from hive_fleet.events.precondition import AsOf, require_unchanged
from hive_fleet.requests import queue


def _what_destroy_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    name = arguments["name"]
    refuse_manager(name, "destroyed")
    refuse_unknown(hive, name)
    if arguments.get("purge"):
        return f"{name}'s container goes, and {_belongings(hive, name)}. There is no undo."
    return (
        f"{name}'s container and its journal go. Kept: {_belongings(hive, name)}; `hive revive {name}` brings it back."
    )


def _belongings(hive: Hive, name: str) -> str:
    """What an agent has besides its container; the size counts only what can be measured quickly."""
    held = hostile_folders.measure(hive.agent_path(name))
    least = "" if held.whole else "more than "
    login = any(found_login(hive, name, runner).login for runner in CLIS)
    parts = "its state and its login" if login else "and its state"
    return f"its configuration with all history{',' if login else ''} {parts} ({least}{size(held.size)})"


@operation(callers=OPERATOR, group="Agents", confirm="Destroy {name}?", stakes=_what_destroy_takes)
def destroy(hive: Hive, name: AgentName, purge: bool = False, as_of: AsOf | None = None) -> None:
    """Remove an agent's container; its configuration, state and login are kept, so that revive can bring it back.

    name: which agent
    purge: remove those too; there is no undo
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    require_unchanged(hive, name, as_of)
    refuse_manager(name, "destroyed")
    refuse_unknown(hive, name)
    progress.hurry(hive, name)
    with progress.held_anyway(hive, name, "destroying") as left:
        # Again: from now on nobody else begins anything.
        require_unchanged(hive, name, as_of)
        if left is not None:
            progress.forget(hive, name)
        progress.carry_out(hive, name, removals.DESTROY, {"purge": purge})
    if purge:
        hive.say(f"{name} is destroyed and purged: its configuration, state, login and inbox are gone")
        _warn_of_requests(hive, name)
        return
    hive.say(
        f"{name} is destroyed: its container is gone. Kept: {_belongings(hive, name)}.\n"
        f"`hive revive {name}` asks for it back, `hive purge {name}` removes the rest for good."
    )


def _what_purge_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    name = arguments["name"]
    _require_tombstone(hive, name)
    return f"What was kept of {name} goes: {_belongings(hive, name)}. There is no undo."


def _require_tombstone(hive: Hive, name: str) -> None:
    with hive.store.read() as db:
        if name in table.names(db):
            raise Refused(f"{name} has a container.", f"`hive destroy {name} --purge` removes both.")
    if name in hive.host.containers():
        raise Refused(f"{name} has a container, which the database does not know.", "`hive adopt` takes it back.")
    if not hive.agent_path(name).is_dir():
        raise NotFound(f"Nothing is kept of an agent {name!r}.", "`hive tombstones` shows what is.")


@operation(callers=OPERATOR, group="Agents", confirm="Purge {name}?", stakes=_what_purge_takes)
def purge(hive: Hive, name: DestroyedName, as_of: AsOf | None = None) -> None:
    """Remove what was kept of a destroyed agent, for good.

    name: which agent
    as_of: refuse when anything was done to it after this event; the status page always sends what it showed
    """
    with progress.held(hive, name, "purging"):
        require_unchanged(hive, name, as_of)
        _require_tombstone(hive, name)
        progress.carry_out(hive, name, removals.PURGE)
    hive.say(f"{name} is purged: its configuration, state, login and inbox are gone")
    _warn_of_requests(hive, name)


def _warn_of_requests(hive: Hive, name: str) -> None:
    """Tell the operator that requests for a purged agent still wait: to approve one makes a new agent."""
    with hive.store.read() as db:
        for row in queue.pending(db, name, "spawn"):
            hive.say(f"note: request {row['id']} still asks for {name}; approving it makes a new, empty one")


@operation(
    callers=OPERATOR,
    group="Agents",
    columns=("name", "size", "age", "has_login"),
    empty="No destroyed agents. `hive destroy NAME` keeps an agent's state, and lists it here.",
)
def tombstones(hive: Hive) -> list[Tombstone]:
    """List the destroyed agents whose state was kept: revive brings one back, purge removes it for good."""
    return all_tombstones(hive)
