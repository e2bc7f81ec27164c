"""What every action on an agent shares: whom it refuses, what the container sees, and the operator's wish."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from hive_agent.credentials import given
from hive_core import disk, progress
from hive_core.containers.base import View
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.events import emit
from hive_core.operation import Caller
from hive_core.progress import InProgress, Recorder, held, recorded, recovery
from hive_core.settings import MANAGER
from hive_fleet.agents import (
    last_seen,  # noqa: F401  (its `after_operation` is part of every operation)
    table,
)
from hive_fleet.flake import meta
from hive_fleet.home import folders
from hive_fleet.messages.messages import kick, tell

if TYPE_CHECKING:
    from hive_core.containers.config import AgentConfig

# Seconds between SIGTERM and SIGKILL when something is stopped politely.
GRACE = 10.0
AGREE = "agree"


def refuse_self(hive: Hive, name: str, verb: str) -> None:
    """The manager may not cut its own legs. Raises Refused."""
    if hive.caller.caller is Caller.MANAGER and name == hive.caller.name:
        raise Refused(f"The manager cannot {verb} itself.", "Ask the operator.")


def refuse_manager(name: str, verb: str) -> None:
    """Nobody can do this to the manager by accident. Raises Refused."""
    if name == MANAGER:
        raise Refused(f"The manager cannot be {verb}.", "`hive stop manager` stops it, if it should not run.")


def require(hive: Hive, name: str) -> None:
    """Raises NotFound unless there is such an agent."""
    with hive.store.read() as db:
        table.one(db, name)


def view_of(hive: Hive, name: str) -> View:
    """What the agent's container may see; its folders are made where they are missing."""
    with hive.store.read() as db:
        uid = folders.uid_of(db, name)
    folders.ensure_state(hive, name, uid, new=False)
    if name == MANAGER:
        folders.give_clones(hive, uid)
    return folders.view(hive, name, uid)


def wanted(hive: Hive, name: str) -> bool:
    """Whether the operator wants this agent to run."""
    with hive.store.read() as db:
        return bool(table.one(db, name)["desired"] == "running")


def want(db: sqlite3.Connection, name: str, desired: str) -> None:
    """Record what the operator wants of an agent: 'running' or 'stopped'."""
    table.one(db, name)
    db.execute("update agents set desired = ?, restart_at = null where name = ?", (desired, name))
    # What the harness of an earlier start said is over; that it needs a login is not.
    db.execute("update agents set state = null, status_text = null where name = ? and state != 'needs_login'", (name,))


def build_and_switch(hive: Hive, name: str, revision: str, *, run: bool) -> None:
    """Build a revision of the applied repository and make the container have it. Raises BuildFailed."""
    hive.host.build(name, hive.applied_path(name), revision)
    with hive.store.write() as db:
        # What the harness of an earlier start said is over.
        db.execute(
            "update agents set state = null, status_text = null, active_model = null, until = null where name = ?",
            (name,),
        )
    hive.host.switch(name, revision, view_of(hive, name), run=run)
    if run:
        _end_unwanted(hive, name)


def start_container(hive: Hive, name: str) -> None:
    """Start an agent's container, which the caller holds."""
    hive.host.start(name, view_of(hive, name))
    _end_unwanted(hive, name)


def _end_unwanted(hive: Hive, name: str) -> None:
    """End what was started for an agent that was killed meanwhile: a kill does not wait for who holds the agent."""
    if not wanted(hive, name):
        hive.host.stop(name, grace=0)


def built_with(hive: Hive, name: str, revision: str) -> Recorder:
    """What an agent was built with, the base and what its configuration says; returns what remembers it in a change."""
    return partial(_record_build, name, configuration(hive, name, revision), meta.current_base(hive))


def configuration(hive: Hive, name: str, revision: str) -> AgentConfig:
    """The checked agent.toml of a revision of the applied repository. Raises BuildFailed."""
    from hive_core.containers import config
    from hive_core.git.repository import Repository

    text = Repository(hive.applied_path(name)).read(revision, "agent.toml") or b""
    return config.parse(text.decode(errors="replace"))


def _record_build(name: str, built: AgentConfig, base: str | None, db: sqlite3.Connection) -> None:
    db.execute(
        "update agents set hive_rev = ?, runner = ?, restart = ?, crashes = 0, given = ?, allowed_recipients = ?"
        " where name = ?",
        (
            base,
            built.runner,
            built.restart,
            json.dumps(sorted(given(built.environment))),
            json.dumps(built.allowed_recipients),
            name,
        ),
    )


def ensure_container(hive: Hive, name: str, revision: str) -> None:
    """Bring the container to `revision` if it is not there, running or stopped as the operator wants it."""
    container = hive.host.container(name)
    run = wanted(hive, name)
    whole = container is not None and container.revision == container.next_revision == revision
    if container is None or not whole or (run and not container.running):
        build_and_switch(hive, name, revision, run=run)
    elif container.running and not run:
        hive.host.stop(name, grace=GRACE)


# What each operation tells when it is done, and the word that an agent that runs anew is kicked with.
TOLD = {"starting": "started", "restarting": "restarted", "stopping": "killed"}


@contextmanager
def acting_on(hive: Hive, name: str, kind: str, *, recovery: str = AGREE, **detail: Any) -> Iterator[dict[str, Any]]:
    """Be the one operation on this agent; the block is given what `conclude` goes by, and so is the recovery."""
    with held(hive, name, kind):
        known = {**before(hive, name), **detail}
        with recorded(hive, name, kind, recovery=recovery, detail=known):
            yield known


def before(hive: Hive, name: str) -> dict[str, Any]:
    """How the container is before an operation, so that it can be told afterwards what has become of it."""
    container = hive.host.container(name)
    return {
        "ran": container is not None and container.running,
        "started_at": container.started_at if container is not None else None,
    }


def conclude(hive: Hive, name: str, kind: str, known: Mapping[str, Any]) -> None:
    """Tell of a start, a restart or a stop what has really happened, in the transaction that ends it.

    An operation ends with it, and so does the recovery of one that was killed: nothing is told twice or never.
    known: how the container was before. quiet: the manager knows already. note: more to tell.
    """
    now = before(hive, name)
    happened = known["ran"] and not now["ran"] if kind == "stopping" else now["started_at"] != known["started_at"]
    end = progress.ending(hive, name)
    with hive.store.write() as db:
        if happened and known.get("quiet"):
            emit(db, TOLD[kind], agent=name)
        elif happened:
            tell(hive, db, TOLD[kind], name, note=known.get("note"))
        if happened and kind != "stopping":
            kick(db, name, TOLD[kind])
        end(db)


@recovery(AGREE)
def agree(hive: Hive, left: InProgress) -> str:
    """Make the container agree with what the operator wants and what is deployed: mends all but builds.

    Where that cannot be done the container stays as it is, and shows as failed if it should run: whatever
    keeps it from starting must not keep the operator from every other command.
    """
    from hive_core.git.repository import Repository

    with hive.store.read() as db:
        known = left.agent in table.names(db)
    if not known:
        # Destroyed while whoever began this waited for the lock: there is nothing to agree on.
        return "destroyed"
    try:
        ensure_container(hive, left.agent, Repository(hive.applied_path(left.agent)).main())
    except HiveError as error:
        if error.__cause__ is not None and disk.refusal(error.__cause__):
            raise  # The machine's trouble passes, and then this can be done: it is tried again.
        hive.say(f"warning: {left.agent} stays as it is: {error.message}")
        return f"left as it is: {error.message}"
    if left.kind in TOLD and "started_at" in left.detail:
        conclude(hive, left.agent, left.kind, left.detail)
    return "agreed"
