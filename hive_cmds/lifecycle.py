"""Lifecycle: start, stop, kill, restart, rebuild; each with its operation, its events and its kick."""

from __future__ import annotations

import sqlite3
from contextlib import nullcontext

from hive_cmds import agents, meta, restarts
from hive_cmds.acting import (
    AGREE,
    GRACE,
    build_and_switch,
    built_with,
    refuse_self,
    require,
    view_of,
    want,
    wanted,
)
from hive_cmds.agents import AgentView
from hive_cmds.deploys import fleet
from hive_cmds.messages import kick, tell
from hive_core import disk, progress
from hive_core.arguments import AgentName
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.operation import LOOKING_AFTER, OPERATOR, operation
from hive_core.progress import exclusive, held_first, recorded
from hive_core.settings import MANAGER


def _is_running(hive: Hive, name: str) -> bool:
    container = hive.host.container(name)
    return container is not None and container.running


@operation(callers=LOOKING_AFTER, group="Agents")
def start(hive: Hive, name: AgentName) -> AgentView:
    """Start an agent's container; nothing happens when it runs.

    name: which agent
    """
    refuse_self(hive, name, "start")
    require(hive, name)
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
    try:
        if name in agents.strays(hive):
            return _end_stray(hive, name, grace)
        require(hive, name)
        progress.hurry(hive, name)
        _end_recorded(hive, name, grace, note)
    except (OSError, sqlite3.OperationalError) as error:
        refused = disk.refusal(error)
        if refused is None or name not in hive.host.containers():
            raise
        # Whoever has filled the disk must not be safe from this by having done so.
        with hive.lock(name, "stopping"):
            hive.host.stop(name, grace=grace)
        raise Refused(
            f"{name} was ended, but that could not be recorded. {refused.message}",
            f"Make room, then `hive stop {name}`; until then it counts as crashed.",
        ) from error
    return agents.view(hive, name)


def _end_stray(hive: Hive, name: str, grace: float) -> AgentView:
    """End a container of which the database tells nothing, and remember nothing of it."""
    with hive.lock(name, "stopping"):
        hive.host.stop(name, grace=grace)
    hive.say(f"warning: that {name} was ended is recorded nowhere: the database does not know it, or is damaged")
    return agents.stray_view(hive.host.containers()[name])


def _end_recorded(hive: Hive, name: str, grace: float, note: str | None) -> None:
    # What another left half-done may take long to mend, or fail to be: neither keeps an agent from being ended.
    with held_first(hive, name, "stopping") as left:
        operation = recorded(hive, name, "stopping", recovery=AGREE) if left is None else nullcontext()
        with operation:
            with hive.store.write() as db:
                want(db, name, "stopped")
            ran = _is_running(hive, name)
            hive.host.stop(name, grace=grace)
            if ran:
                with hive.store.write() as db:
                    tell(db, "killed", name, note=note)


@operation(callers=LOOKING_AFTER, group="Agents")
def restart(hive: Hive, name: AgentName) -> AgentView:
    """Stop an agent's container and start it again, with the configuration it has.

    name: which agent
    """
    refuse_self(hive, name, "restart")
    require(hive, name)
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
    require(hive, name)
    rebuild_again(hive, name)
    return agents.view(hive, name)


def rebuild_again(hive: Hive, name: str) -> None:
    """Rebuild an agent, whoever wants it; the manager hears of it when that fails, too. Raises HiveError."""
    try:
        with exclusive(hive, name, "rebuilding", recovery=AGREE):
            rebuild_held(hive, name)
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
            if name in agents.names(db):
                tell(db, "rebuilt", name, ok=False, note=str(error))
    except (HiveError, sqlite3.Error) as refused:
        hive.say(f"warning: the manager could not be told: {refused}")


def rebuild_held(hive: Hive, name: str) -> None:
    """Rebuild an agent that the caller holds, and lock what was built; raises BuildFailed.

    The flake is held only afterwards: nobody else has to wait for the container.
    """
    from hive_core.git.repository import Repository

    revision = Repository(hive.applied_path(name)).main()
    build_and_switch(hive, name, revision, run=wanted(hive, name))
    with meta.opened(hive, f"rebuilding {name}") as flake:
        flake.stage(fleet(hive), [meta.agent_input(name)])
        moved = flake.commit(f"rebuild {name} {revision[:12]}")
    record_build = built_with(hive, name, revision)
    with hive.store.write() as db:
        if moved:
            meta.announce(hive, db)
        record_build(db)
        tell(db, "rebuilt", name, ok=True, sha=revision)
        kick(db, name, "rebuilt")


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
