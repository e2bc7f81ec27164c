"""Building an agent's configuration, and having its container be what was built."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING

from hive_agent.credentials import given
from hive_core import progress
from hive_core.changes import InProgress, Recorder
from hive_core.containers.base import GRACE
from hive_core.context import Hive
from hive_fleet.agents import harness_state, table
from hive_fleet.agents.desired import wanted
from hive_fleet.agents.view import view_of
from hive_fleet.flake import meta

if TYPE_CHECKING:
    from hive_core.containers.base import Lock
    from hive_core.containers.config import AgentConfig


def build_and_switch(hive: Hive, name: str, revision: str, *, run: bool, lock: Lock | None = None) -> None:
    """Build a revision of the applied repository and make the container have it. Raises BuildFailed.

    lock: what else it is built with; the committed lock unless it is given.
    """
    progress.reach(hive, name, "building")
    lock = lock or meta.lock(hive)
    hive.host.build(name, hive.applied_path(name), revision, lock)
    with hive.store.write() as db:
        harness_state.forget(db, name)
    progress.reach(hive, name, "switching")
    hive.host.switch(name, revision, view_of(hive, name)._replace(lock=lock), run=run)
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


def ensure_container(
    hive: Hive, name: str, revision: str, base: str | None = None, *, left: InProgress | None = None
) -> None:
    """Bring the container to `revision` if it is not there, running or stopped as the operator wants it.

    base: the revision of hive that it has to be of, where that matters. left: what of it was cut off, and is mended.
    """
    container = hive.host.container(name)
    run = wanted(hive, name)
    whole = container is not None and container.revision == container.next_revision == revision
    if base is not None and container is not None:
        whole = whole and container.hive == base
    if left is not None and _may_be_ending(left):
        whole = False
    if container is None or not whole or (run and not container.running):
        build_and_switch(hive, name, revision, run=run)
    elif container.running and not run:
        hive.host.stop(name, grace=GRACE)


def _may_be_ending(left: InProgress) -> bool:
    """Whether a container that runs may have been asked to end by who has died since: it does so in a while."""
    return left.step is not None and left.step.step in ("switching", "stopping") and not left.owner.alive()
