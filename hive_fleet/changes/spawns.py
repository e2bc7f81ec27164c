"""Making an agent: folders, repositories, its input in the meta flake, its container; all of it or nothing.

What decides is the meta flake's commit: once it names the agent, the spawn is finished by whoever comes next;
before that it is undone, and what lay there before it (a revived agent's state) stays.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from hive_agent import MANAGER
from hive_core import progress
from hive_core.changes import Change, InProgress, Task
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_fleet.agents import desired, halt, table, users
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.agents.tombstones import announcing_tombstones
from hive_fleet.changes.building import build_deployed, built_with, deployed, switch_to_deployed
from hive_fleet.changes.locking import stage
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages import messages
from hive_fleet.requests import queue


def apply(hive: Hive, row: sqlite3.Row) -> None:
    """Carry out an undecided request for an agent. The caller holds the name. Raises Refused when there is one."""
    id, name = row["id"], row["agent"]
    with hive.store.read() as db:
        if name in table.names(db):
            raise Refused(f"There is an agent {name!r} already.", f"`hive deny {id}` closes the request.")
    plan = _plan(hive, id, name)
    with queue.told_what_became_of(hive, id):
        progress.carry_out(hive, name, SPAWN, plan)


def spawn_manager(hive: Hive) -> None:
    """Make the manager, which nobody has to ask for. Raises BuildFailed, or what else went wrong."""
    with progress.held(hive, MANAGER, "making the manager"):
        progress.carry_out(hive, MANAGER, SPAWN, _plan(hive, None, MANAGER))


def _plan(hive: Hive, id: int | None, name: str) -> dict[str, Any]:
    """What its tasks and its recovery go by: which folders were there already, and whether the agent comes back.

    id: the request's, or None for the manager, which `hive up` makes without one. Raises Refused where there is a
    container of this name already: undoing the spawn would destroy it.
    """
    if name in hive.host.containers():
        raise Refused(f"{name} has a container, which the database does not know.", "`hive adopt` takes it back.")
    settings = hive.settings
    places = {"state": settings.agents, "applied": settings.applied, "proposed": settings.proposed}
    kept = [key for key, folder in places.items() if os.path.lexists(folder / name)]
    return {"approval": id, "kept": kept, "revived": (hive.agent_path(name) / "state").exists()}


def _prepare(hive: Hive, doing: InProgress) -> None:
    """Give the agent its row, its user, its folders and its repositories. The lock is only tried."""
    id, name, pool = doing.detail["approval"], doing.agent, hive.host.users()
    with hive.store.write() as db:
        requested_by = queue.require(db, id)["requested_by"] if id is not None else None
        uid, parent = users.allot(hive, db, name, pool), requested_by if requested_by == MANAGER else None
        table.add(db, name, uid=uid, desired=desired.RUNNING, created_at=hive.clock(), parent=parent)
        halt.heed(db, name)
        known = table.users(db)
    folders.ensure(hive, name, known, new=not hive.applied_path(name).exists())
    with meta.opened(hive, f"spawning {name}") as flake:
        stage(hive, flake, name)


def _lock(hive: Hive, doing: InProgress) -> None:
    """Have the meta flake name the agent, which decides; then record that it is there."""
    name = doing.agent
    with meta.opened(hive, f"spawning {name}") as flake:
        stage(hive, flake, name)
        flake.commit(f"spawn {name} {deployed(hive, name)[:12]}")
    _conclude(hive, doing)


def _blame(hive: Hive, doing: InProgress, error: BuildFailed) -> None:
    """Have the request fail: its configuration is at fault. Whatever the machine lacks can be tried again."""
    id = doing.detail["approval"]
    if id is not None and not _is_locked(hive, doing):
        with hive.store.write() as db:
            queue.resolve(hive, db, id, "failed", note=str(error))


def _recover(hive: Hive, left: InProgress) -> str:
    """Finish a spawn that the meta flake already tells of; undo any other."""
    name = left.agent
    with meta.opened(hive, f"mending {name}"):
        finished = _is_locked(hive, left)
        if not finished:
            # While the flake is held: nobody else may take the agent into it.
            with hive.store.write() as db:
                table.remove(db, name)
    if finished:
        _conclude(hive, left)
        return "approved"
    _undo(hive, name, left.detail["kept"])
    return "undone"


def _is_locked(hive: Hive, doing: InProgress) -> bool:
    """Whether the meta flake names the agent, which decides."""
    return meta.Meta(hive).revision(meta.agent_input(doing.agent)) is not None


def _undo(hive: Hive, name: str, kept: list[str]) -> None:
    hive.host.destroy(name)
    folders.remove(hive, name, kept=kept)


def _conclude(hive: Hive, doing: InProgress) -> None:
    """Record that the agent is there, in one transaction with everything that tells of it."""
    id, name = doing.detail["approval"], doing.agent
    revision = deployed(hive, name)
    record_build = built_with(hive, name, revision)
    with announcing_tombstones(hive, name) as db:
        if id is not None:
            queue.resolve(hive, db, id, "approved")
        messages.tell(hive, db, "spawned", name, sha=revision)
        if doing.detail.get("revived", False):
            messages.kick(db, name, "brought back")
        record_build(db)
        meta.announce(hive, db)


SPAWN = Change(
    f"{__name__}:SPAWN",
    "spawning",
    _recover,
    after_operation,
    (
        Task("preparing", _prepare),
        Task("building", build_deployed),
        Task("switching", switch_to_deployed),
        Task("locking", _lock),
    ),
    _blame,
)
