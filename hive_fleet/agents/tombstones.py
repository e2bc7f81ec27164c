"""Tombstones: agents that were destroyed, and whose state was kept."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hive_agent.clis import CLIS
from hive_core import hostile_folders, progress
from hive_core.arguments import agent_name, named, new_agent_name
from hive_core.context import Hive
from hive_core.events import emit
from hive_core.human import elapsed, natural
from hive_fleet.agents import table
from hive_fleet.agents.observation import found_login

DestroyedName = Annotated[str, named(agent_name, "destroyed agents")]
# The manager is not spawned: `hive up` makes it.
RevivedName = Annotated[str, named(new_agent_name, "destroyed agents")]


@dataclass(frozen=True, slots=True)
class Tombstone:
    """A destroyed agent whose state was kept. size: bytes. last_modified: unix seconds."""

    name: str
    size: int
    last_modified: int
    has_login: bool

    @property
    def age(self) -> float:
        """How long ago anything of it was changed, in seconds."""
        return elapsed(self.last_modified)


def all_tombstones(hive: Hive) -> list[Tombstone]:
    """Every tombstone, by name. A stray is none: its container is there, only the database does not know it."""
    there = hive.host.containers()
    return [stone for stone in _measured(hive) if stone.name not in there]


def kept_names(hive: Hive) -> list[str]:
    """The names of agents that are no longer there, without a look at what is kept."""
    with hive.store.read() as db:
        return sorted((path.name for path in _kept(hive, db)), key=natural)


def _measured(hive: Hive) -> list[Tombstone]:
    with hive.store.read() as db:
        kept = _kept(hive, db)
    return [_tombstone(hive, path) for path in sorted(kept, key=lambda path: natural(path.name))]


def _kept(hive: Hive, db: sqlite3.Connection) -> set[Path]:
    """The folders of agents that are no longer there."""
    folder, living = hive.settings.agents, set(table.names(db))
    found = folder.iterdir() if folder.exists() else ()
    return {path for path in found if path.name not in living and path.is_dir()}


def _tombstone(hive: Hive, path: Path) -> Tombstone:
    found = hostile_folders.measure(path)
    # An agent may have set a time in the future on its files.
    kept = any(found_login(hive, path.name, runner).login for runner in CLIS)
    return Tombstone(path.name, found.size, int(min(found.newest, time.time())), kept)


@contextmanager
def announcing_tombstones(hive: Hive, name: str) -> Iterator[sqlite3.Connection]:
    """The transaction that ends an operation on an agent, and announces all tombstones, which are measured before it.

    Whatever makes a tombstone of an agent, or an agent of a tombstone, is done before, not in the block.
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
