"""Building an agent's configuration, and having its container be what was built."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from hive_agent.credentials import given
from hive_core.changes import InProgress, Recorder
from hive_core.containers.base import GRACE
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import harness_state, table
from hive_fleet.agents.desired import wanted
from hive_fleet.agents.view import view_of
from hive_fleet.flake import meta

if TYPE_CHECKING:
    from hive_core.containers.base import Lock
    from hive_core.containers.config import AgentConfig


# What is built and then switched to is of one revision of hive, also where the lock moves between.
BASE = "base"


def build(hive: Hive, name: str, revision: str, lock: Lock) -> None:
    """Build a revision of the applied repository. Raises BuildFailed."""
    hive.host.build(name, hive.applied_path(name), revision, lock)


def switch(hive: Hive, name: str, revision: str, lock: Lock, *, run: bool) -> None:
    """Make the container have a revision that was built with this lock. Raises BuildFailed."""
    with hive.store.write() as db:
        harness_state.forget(db, name)
    hive.host.switch(name, revision, view_of(hive, name)._replace(lock=lock), run=run)
    if run:
        _end_unwanted(hive, name)


def deployed(hive: Hive, name: str) -> str:
    """The revision that an agent is to run: its `main`."""
    from hive_core.git.repository import Repository

    return Repository(hive.applied_path(name)).main()


def build_deployed(hive: Hive, doing: InProgress) -> None:
    """Build what is deployed with the committed lock, as a task of a change; the switch is told which that was."""
    lock = meta.lock(hive)
    build(hive, doing.agent, deployed(hive, doing.agent), lock)
    doing.detail[BASE] = lock.hive


def switch_to_deployed(hive: Hive, doing: InProgress) -> None:
    """Make the container have what is deployed, and run if it is to, as a task of a change."""
    name, lock = doing.agent, meta.lock_at(hive, doing.detail[BASE])
    switch(hive, name, deployed(hive, name), lock, run=wanted(hive, name))


def start_container(hive: Hive, name: str) -> None:
    """Start an agent's container, which the caller holds; one that is ended meanwhile has not failed to start."""
    try:
        hive.host.start(name, view_of(hive, name))
    except HiveError as error:
        if wanted(hive, name):
            raise
        hive.say(f"note: {name} was to end while it was started: {error}")
    _end_unwanted(hive, name)


def _end_unwanted(hive: Hive, name: str) -> None:
    """End what was started for an agent that was killed meanwhile: a kill does not wait for who holds the agent."""
    if not wanted(hive, name):
        hive.host.stop(name, grace=0)


def built_with(hive: Hive, name: str, revision: str) -> Recorder:
    """What an agent was built with, the base and what its configuration says; returns what remembers it in a change."""
    container = hive.host.container(name)
    # The lock may have moved on since the container was started.
    base = container.hive if container is not None and container.running else None
    return partial(_record_build, name, configuration(hive, name, revision), base or meta.current_base(hive))


def configuration(hive: Hive, name: str, revision: str) -> AgentConfig:
    """The checked agent.toml of a revision of the applied repository. Raises BuildFailed."""
    from hive_core.containers import config
    from hive_core.git.repository import Repository

    text = Repository(hive.applied_path(name)).read(revision, "agent.toml") or b""
    return config.parse(text.decode(errors="replace"))


def _record_build(name: str, built: AgentConfig, base: str | None, db: sqlite3.Connection) -> None:
    table.record_build(
        db,
        name,
        base=base,
        runner=built.runner,
        restart=built.restart,
        given=given(built.environment),
        recipients=built.allowed_recipients,
        stuck_minutes=built.stuck_minutes,
    )


def is_lacking(
    hive: Hive, name: str, revision: str, base: str | None = None, *, left: InProgress | None = None
) -> bool:
    """Whether the container has to be switched to this revision: it has another, or is to run and does not.

    base: the revision of hive that it has to be of, where that matters. left: what of it was cut off, and is mended.
    """
    container = hive.host.container(name)
    whole = container is not None and container.revision == container.next_revision == revision
    if base is not None and container is not None:
        whole = whole and container.hive == base
    if left is not None and _may_be_ending(left):
        whole = False
    return container is None or not whole or (wanted(hive, name) and not container.running)


def ensure_container(
    hive: Hive, name: str, revision: str, base: str | None = None, *, left: InProgress | None = None
) -> None:
    """Bring the container to `revision` if it is lacking, running or stopped as the operator wants it."""
    if is_lacking(hive, name, revision, base, left=left):
        lock = meta.lock(hive)
        build(hive, name, revision, lock)
        switch(hive, name, revision, lock, run=wanted(hive, name))
    elif not wanted(hive, name):
        hive.host.stop(name, grace=GRACE)


def _may_be_ending(left: InProgress) -> bool:
    """Whether a container that runs may have been asked to end by who has died since: it does so in a while."""
    return left.step is not None and left.step.step in ("switching", "stopping") and not left.owner.alive()
