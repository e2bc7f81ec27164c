"""Making an agent: folders, repositories, its input in the meta flake, its container; all of it or nothing.

What decides is the meta flake's commit: once it names the agent, the spawn is finished by whoever comes next;
before that it is undone, and what lay there before it (a revived agent's state) stays.
"""

from __future__ import annotations

import os
from typing import Any

from hive_agent import MANAGER
from hive_core import progress
from hive_core.changes import Change, InProgress
from hive_core.context import Hive
from hive_core.errors import BuildFailed, Refused
from hive_fleet.agents import desired, halt, table, users
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.agents.tombstones import announcing_tombstones
from hive_fleet.changes.building import build_and_switch, built_with
from hive_fleet.changes.deploys import fleet
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages import messages
from hive_fleet.requests import queue


def detail(hive: Hive, id: int | None, name: str) -> dict[str, Any]:
    """What the recovery must know before the first step: which folders were there already.

    id: the request's, or None for the manager, which `hive up` makes without one.
    """
    settings = hive.settings
    places = {"state": settings.agents, "applied": settings.applied, "proposed": settings.proposed}
    kept = [key for key, folder in places.items() if os.path.lexists(folder / name)]
    return {"approval": id, "kept": kept, "revived": is_kept(hive, name)}


def is_kept(hive: Hive, name: str) -> bool:
    """Whether the agent was there before, and comes back."""
    return (hive.agent_path(name) / "state").exists()


def require_new(hive: Hive, name: str) -> None:
    """Raises Refused where there is a container of this name already: undoing the spawn would destroy it."""
    if name in hive.host.containers():
        raise Refused(f"{name} has a container, which the database does not know.", "`hive adopt` takes it back.")


def spawn(hive: Hive, id: int | None, name: str) -> None:
    """Carry out an approved spawn. The caller holds the agent, with SPAWN in progress.

    Raises BuildFailed, or what else went wrong; the recovery then undoes it.
    """
    from hive_core.git.repository import Repository

    revived = is_kept(hive, name)
    with meta.opened(hive, f"spawning {name}") as flake:
        try:
            _enlist(hive, id, name)
            revision = Repository(hive.applied_path(name)).main()
            flake.stage(fleet(hive), [meta.agent_input(name)])
            build_and_switch(hive, name, revision, run=desired.wanted(hive, name))
            progress.reach(hive, name, "locking")
            flake.commit(f"spawn {name} {revision[:12]}")
        except BuildFailed as error:
            # Only what is wrong with the configuration itself; whatever the machine lacks can be tried again.
            if id is not None:
                with hive.store.write() as db:
                    queue.resolve(hive, db, id, "failed", note=str(error))
            raise
    _conclude(hive, id, name, revived=revived)


def spawn_manager(hive: Hive) -> None:
    """Make the manager, which nobody has to ask for. Raises BuildFailed, or what else went wrong."""
    with progress.held(hive, MANAGER, "making the manager"):
        require_new(hive, MANAGER)
        plan = detail(hive, None, MANAGER)
        with progress.recorded(hive, MANAGER, SPAWN, plan):
            spawn(hive, None, MANAGER)


def _enlist(hive: Hive, id: int | None, name: str) -> None:
    """Give the agent its row, its user, its folders and its repositories."""
    pool = hive.host.users()
    with hive.store.write() as db:
        requested_by = queue.require(db, id)["requested_by"] if id is not None else None
        uid, parent = users.allot(hive, db, name, pool), requested_by if requested_by == MANAGER else None
        table.add(db, name, uid=uid, desired=desired.RUNNING, created_at=hive.clock(), parent=parent)
        halt.heed(db, name)
        known = table.users(db)
    folders.ensure(hive, name, known, new=not hive.applied_path(name).exists())


def _recover(hive: Hive, left: InProgress) -> str:
    """Finish a spawn that the meta flake already tells of; undo any other."""
    id, name = left.detail["approval"], left.agent
    with meta.opened(hive, f"mending {name}") as flake:
        finished = flake.revision(meta.agent_input(name)) is not None
        if not finished:
            # While the flake is held: nobody else may take the agent into it.
            with hive.store.write() as db:
                table.remove(db, name)
    if finished:
        _conclude(hive, id, name, revived=left.detail.get("revived", False))
        return "approved"
    _undo(hive, name, left.detail["kept"])
    return "undone"


def _undo(hive: Hive, name: str, kept: list[str]) -> None:
    hive.host.destroy(name)
    folders.remove(hive, name, kept=kept)


def _conclude(hive: Hive, id: int | None, name: str, *, revived: bool) -> None:
    """Record that the agent is there, in one transaction with everything that tells of it."""
    from hive_core.git.repository import Repository

    revision = Repository(hive.applied_path(name)).main()
    record_build = built_with(hive, name, revision)
    with announcing_tombstones(hive, name) as db:
        if id is not None:
            queue.resolve(hive, db, id, "approved")
        messages.tell(hive, db, "spawned", name, sha=revision)
        if revived:
            messages.kick(db, name, "brought back")
        record_build(db)
        meta.announce(hive, db)


SPAWN = Change(
    f"{__name__}:SPAWN", "spawning", _recover, after_operation, ("preparing", "building", "switching", "locking")
)
