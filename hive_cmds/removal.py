"""Destroying an agent, what is kept of it then, and removing that too."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive_agent.clis import CLIS
from hive_core import hostile_folders, progress
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.events import emit
from hive_core.human import natural, size
from hive_core.operation import OPERATOR, operation
from hive_core.progress import InProgress, recovery
from hive_fleet.agents import agents
from hive_fleet.agents.observed import found_login
from hive_fleet.changes.acting import refuse_manager, require
from hive_fleet.changes.deploys import fleet
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages.messages import forget_inbox, tell
from hive_fleet.requests import queue

DESTROY, PURGE = "destroy", "purge"


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A destroyed agent whose state was kept. size: bytes. last_modified: unix seconds."""

    name: str
    size: int
    last_modified: int
    has_login: bool

    @property
    def age(self) -> float:
        return float(self.last_modified)


def _what_destroy_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    name = arguments["name"]
    refuse_manager(name, "destroyed")
    require(hive, name)
    if arguments.get("purge"):
        return f"{name}'s container goes, and {_belongings(hive, name)}. There is no undo."
    return (
        f"{name}'s container and its journal go. Kept: {_belongings(hive, name)}; `hive revive {name}` brings it back."
    )


def _belongings(hive: Hive, name: str) -> str:
    """What an agent has beside its container; the size is of what can be measured quickly."""
    held = hostile_folders.measure(hive.agent_path(name))
    least = "" if held.whole else "more than "
    return f"its configuration with all history, its state and its login ({least}{size(held.size)})"


@operation(callers=OPERATOR, group="Agents", confirm="Destroy {name}?", stakes=_what_destroy_takes)
def destroy(hive: Hive, name: AgentName, purge: bool = False) -> None:
    """Remove an agent's container; its configuration, state and login are kept, so that revive can bring it back.

    name: which agent
    purge: remove those too; there is no undo
    """
    refuse_manager(name, "destroyed")
    require(hive, name)
    progress.hurry(hive, name)
    with progress.held_anyway(hive, name, "destroying") as left:
        if left is not None:
            progress.forget(hive, name)
        with progress.recorded(hive, name, "destroying", recovery=DESTROY, detail={"purge": purge}):
            destroy_held(hive, name, purge)
    if purge:
        hive.say(f"{name} is destroyed and purged: its configuration, state, login and inbox are gone")
        _warn_of_requests(hive, name)
        return
    hive.say(
        f"{name} is destroyed: its container is gone. Kept: {_belongings(hive, name)}.\n"
        f"`hive revive {name}` asks for it back, `hive purge {name}` removes the rest for good."
    )


@recovery(DESTROY)
def _recover_destroy(hive: Hive, left: InProgress) -> str:
    """A destroy that began is finished: half a container is of no use to anybody."""
    destroy_held(hive, left.agent, left.detail["purge"])
    return "destroyed"


def destroy_held(hive: Hive, name: str, purge: bool) -> None:
    """Destroy an agent that the caller holds; again is as good as once."""
    hive.host.destroy(name)
    with hive.store.write() as db:
        gone = db.execute("delete from agents where name = ?", (name,)).rowcount
        if gone:
            tell(hive, db, "destroyed", name, note="purged" if purge else None)
    _leave_meta(hive, name)
    if purge:
        folders.remove(hive, name)
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


def _what_purge_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    name = arguments["name"]
    _require_tombstone(hive, name)
    return f"What was kept of {name} goes: {_belongings(hive, name)}. There is no undo."


def _require_tombstone(hive: Hive, name: str) -> None:
    with hive.store.read() as db:
        if name in agents.names(db):
            raise Refused(f"{name} has a container.", f"`hive destroy {name} --purge` removes both.")
    if name in hive.host.containers():
        raise Refused(f"{name} has a container, which the database does not know.", "`hive adopt` takes it back.")
    if not hive.agent_path(name).is_dir():
        raise NotFound(f"Nothing is kept of an agent {name!r}.", "`hive tombstones` shows what is.")


@operation(callers=OPERATOR, group="Agents", confirm="Purge {name}?", stakes=_what_purge_takes)
def purge(hive: Hive, name: AgentName) -> None:
    """Remove what was kept of a destroyed agent, for good.

    name: which agent
    """
    with progress.held(hive, name, "purging"):
        _require_tombstone(hive, name)
        with progress.recorded(hive, name, "destroying", recovery=PURGE):
            _purge_held(hive, name)
    hive.say(f"{name} is purged: its configuration, state, login and inbox are gone")
    _warn_of_requests(hive, name)


def _warn_of_requests(hive: Hive, name: str) -> None:
    """Tell the operator who has purged an agent that its return is still asked for: approving that makes a new one."""
    with hive.store.read() as db:
        for row in queue.pending(db, name, "spawn"):
            hive.say(f"note: request {row['id']} still asks for {name}; approving it makes a new, empty one")


@recovery(PURGE)
def _recover_purge(hive: Hive, left: InProgress) -> str:
    _purge_held(hive, left.agent)
    return "purged"


def _purge_held(hive: Hive, name: str) -> None:
    folders.remove(hive, name)
    with announcing_tombstones(hive, name) as db:
        forget_inbox(db, name)
        tell(hive, db, "purged", name)


@operation(
    callers=OPERATOR,
    group="Agents",
    columns=("name", "size", "age", "has_login"),
    empty="No destroyed agents. `hive destroy NAME` keeps an agent's state, and lists it here.",
)
def tombstones(hive: Hive) -> list[Tombstone]:
    """List the destroyed agents whose state was kept: revive brings one back, purge removes it for good."""
    # A container that the database does not know is no destroyed agent.
    there = hive.host.containers()
    return [stone for stone in _measured(hive) if stone.name not in there]


def _measured(hive: Hive) -> list[Tombstone]:
    with hive.store.read() as db:
        kept = _kept(hive, db)
    return [_tombstone(hive, path) for path in sorted(kept, key=lambda path: natural(path.name))]


def _kept(hive: Hive, db: sqlite3.Connection) -> set[Path]:
    """The folders of agents that are no longer there."""
    folder, living = hive.settings.agents, set(agents.names(db))
    found = folder.iterdir() if folder.exists() else ()
    return {path for path in found if path.name not in living and path.is_dir()}


def _tombstone(hive: Hive, path: Path) -> Tombstone:
    found = hostile_folders.measure(path)
    # A hostile agent may have set a time in the future.
    kept = any(found_login(hive, path.name, runner).login for runner in CLIS)
    return Tombstone(path.name, found.size, int(min(found.newest, time.time())), kept)


@contextmanager
def announcing_tombstones(hive: Hive, name: str) -> Iterator[sqlite3.Connection]:
    """The change that ends an operation on an agent and tells of all tombstones, measured before it.

    What the block changes makes nobody a tombstone and no tombstone an agent: that was done before.
    """
    end = progress.ending(hive, name)
    while True:
        measured = _measured(hive)
        with hive.store.write() as db:
            if {stone.name for stone in measured} == {path.name for path in _kept(hive, db)}:
                yield db
                emit(db, "tombstones_changed", tombstones=measured)
                end(db)
                return
