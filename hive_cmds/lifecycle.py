"""Lifecycle: start, stop, kill, restart, rebuild, destroy, purge; each with its operation, its events and its kick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hive_cmds import agents, folders, meta, queue, restarts
from hive_cmds.acting import (
    AGREE,
    GRACE,
    build_and_switch,
    record_build,
    refuse_manager,
    refuse_self,
    view_of,
    want,
)
from hive_cmds.agents import AgentView
from hive_cmds.deploys import fleet
from hive_cmds.messages import forget_inbox, kick, tell
from hive_core import hostile_folders, progress
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.human import size
from hive_core.operation import LOOKING_AFTER, OPERATOR, operation
from hive_core.progress import InProgress, exclusive, recovery
from hive_core.settings import MANAGER

DESTROY, PURGE = "destroy", "purge"


def _require(hive: Hive, name: str) -> None:
    with hive.store.read() as db:
        agents.require(db, name)


def _is_running(hive: Hive, name: str) -> bool:
    container = hive.host.containers().get(name)
    return container is not None and container.running


@operation(callers=LOOKING_AFTER, group="Agents")
def start(hive: Hive, name: AgentName) -> AgentView:
    """Start an agent's container; nothing happens when it runs.

    name: which agent
    """
    refuse_self(hive, name, "start")
    _require(hive, name)
    return start_again(hive, name, looked_after=True)


def start_again(hive: Hive, name: str, *, looked_after: bool = False) -> AgentView:
    """As `start`; unless somebody has looked after the agent, its crashes go on being counted."""
    with exclusive(hive, name, "starting", recovery=AGREE):
        with hive.store.write() as db:
            want(db, name, "running")
            if looked_after:
                restarts.forget(db, name)
        if not _is_running(hive, name):
            hive.host.start(name, view_of(hive, name))
            with hive.store.write() as db:
                tell(db, "started", name)
                kick(db, name, "started")
    return agents.view(hive, name)


@operation(callers=OPERATOR, group="Agents")
def stop(hive: Hive, name: AgentName) -> AgentView:
    """Stop an agent's container: it is asked to end, and killed when it does not within ten seconds.

    name: which agent
    """
    return _end(hive, name, grace=GRACE, note="stopped")


@operation(callers=LOOKING_AFTER, group="Agents")
def kill(hive: Hive, name: AgentName) -> AgentView:
    """Stop an agent's container at once.

    name: which agent
    """
    refuse_self(hive, name, "kill")
    return _end(hive, name, grace=0.0, note=None)


def _end(hive: Hive, name: str, *, grace: float, note: str | None) -> AgentView:
    _require(hive, name)
    with exclusive(hive, name, "stopping", recovery=AGREE):
        with hive.store.write() as db:
            want(db, name, "stopped")
        ran = _is_running(hive, name)
        hive.host.stop(name, grace=grace)
        if ran:
            with hive.store.write() as db:
                tell(db, "killed", name, note=note)
    return agents.view(hive, name)


@operation(callers=LOOKING_AFTER, group="Agents")
def restart(hive: Hive, name: AgentName) -> AgentView:
    """Stop an agent's container and start it again, with the configuration it has.

    name: which agent
    """
    refuse_self(hive, name, "restart")
    _require(hive, name)
    with exclusive(hive, name, "restarting", recovery=AGREE):
        with hive.store.write() as db:
            want(db, name, "running")
            restarts.forget(db, name)
        hive.host.stop(name, grace=GRACE)
        hive.host.start(name, view_of(hive, name))
        with hive.store.write() as db:
            tell(db, "restarted", name)
            kick(db, name, "restarted")
    return agents.view(hive, name)


@operation(callers=OPERATOR, group="Agents")
def rebuild(hive: Hive, name: AgentName) -> AgentView:
    """Build the deployed configuration again, on the base that the meta flake names, and restart the agent with it.

    name: which agent
    """
    _require(hive, name)
    with exclusive(hive, name, "rebuilding", recovery=AGREE):
        rebuild_held(hive, name)
    return agents.view(hive, name)


def rebuild_held(hive: Hive, name: str) -> None:
    """Rebuild an agent that the caller holds, and lock what was built; raises BuildFailed."""
    from hive_core.git.repository import Repository

    revision = Repository(hive.applied_path(name)).main()
    with meta.opened(hive, f"rebuilding {name}") as flake:
        flake.stage(fleet(hive), [meta.agent_input(name)])
        with hive.store.read() as db:
            run = agents.require(db, name)["desired"] == "running"
        build_and_switch(hive, name, revision, run=run)
        moved = flake.commit(f"rebuild {name} {revision[:12]}")
    with hive.store.write() as db:
        if moved:
            meta.announce(hive, db)
        record_build(hive, db, name, revision)
        tell(db, "rebuilt", name, sha=revision)
        kick(db, name, "rebuilt")


def _what_destroy_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    name = arguments["name"]
    refuse_manager(name, "destroyed")
    _require(hive, name)
    if arguments.get("purge"):
        return f"{name}'s container goes, and {_belongings(hive, name)}. There is no undo."
    return (
        f"{name}'s container and its journal go. Kept: {_belongings(hive, name)}; `hive revive {name}` brings it back."
    )


def _belongings(hive: Hive, name: str) -> str:
    """What an agent has beside its container; the size is of what can be measured quickly."""
    held = hostile_folders.measure(hive.agent_path(name)).size
    return f"its configuration with all history, its state and its login ({size(held)})"


@operation(callers=OPERATOR, group="Agents", confirm="Destroy {name}?", stakes=_what_destroy_takes)
def destroy(hive: Hive, name: AgentName, purge: bool = False) -> None:
    """Remove an agent's container; its configuration, state and login are kept, so that revive can bring it back.

    name: which agent
    purge: remove those too; there is no undo
    """
    refuse_manager(name, "destroyed")
    _require(hive, name)
    with (
        progress.held_anyway(hive, name, "destroying"),
        progress.recorded(hive, name, "destroying", recovery=DESTROY, detail={"purge": purge}),
    ):
        _destroy_held(hive, name, purge)
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
    _destroy_held(hive, left.agent, left.detail["purge"])
    return "destroyed"


def _destroy_held(hive: Hive, name: str, purge: bool) -> None:
    hive.host.destroy(name)
    with hive.store.write() as db:
        gone = db.execute("delete from agents where name = ?", (name,)).rowcount
        if gone:
            tell(db, "destroyed", name, note="purged" if purge else None)
    _leave_meta(hive, name)
    if purge:
        folders.remove(hive, name)
    with hive.store.write() as db:
        if purge:
            forget_inbox(db, name)
        agents.announce_tombstones(hive, db)
        progress.clear(hive, db, name)


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
    with hive.store.write() as db:
        forget_inbox(db, name)
        tell(db, "purged", name)
        agents.announce_tombstones(hive, db)
        progress.clear(hive, db, name)


def start_wanted(hive: Hive) -> list[str]:
    """Start every agent that the operator wants to run and that does not, the manager first; returns their names."""
    with hive.store.read() as db:
        rows = db.execute("select name from agents where desired != 'stopped' order by name != ?, name", (MANAGER,))
        wanted = [row["name"] for row in rows]
    containers = hive.host.containers()
    missing = [name for name in wanted if name not in containers or not containers[name].running]
    for name in missing:
        try:
            start(hive, name)
        except HiveError as error:
            hive.say(f"warning: {name} could not be started: {error}")
    return missing
