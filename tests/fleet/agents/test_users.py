"""The users that agents run as: one of its own for each, never one whose files belong to somebody else."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from hive_core.context import Hive
from hive_fleet.agents import desired, table
from hive_fleet.agents.users import allot
from tests.needs import needs_root

pytestmark = pytest.mark.remembered
POOL = range(700_000, 700_100)


def made(hive: Hive, name: str, uid: int | None) -> None:
    with hive.store.write() as db:
        table.add(db, name, uid=uid, desired=desired.RUNNING, created_at=1.0)


def allotted(hive: Hive, name: str, pool: range | None = POOL) -> int | None:
    with hive.store.read() as db:
        return allot(hive, db, name, pool)


def kept(hive: Hive, name: str, uid: int) -> None:
    """The state of an agent, which belongs to a user."""
    state = hive.agent_path(name) / "state"
    state.mkdir(parents=True)
    os.chown(state, uid, uid)


def test_each_new_agent_has_the_next_one(enlist: Callable[..., Hive]) -> None:
    hive = enlist()
    assert allotted(hive, "a") == POOL[0]
    made(hive, "a", POOL[0])
    assert allotted(hive, "b") == POOL[1]
    # One outside the pool, as of another backend, is none of its numbers.
    made(hive, "b", 5)
    made(hive, "c", None)
    assert allotted(hive, "d") == POOL[1]
    assert allotted(hive, "d", range(700_000, 700_100, 10)) == 700_010


def test_where_all_run_as_one_there_is_none(enlist: Callable[..., Hive]) -> None:
    assert allotted(enlist(), "a", None) is None


@needs_root
def test_the_user_of_a_destroyed_agent_is_given_to_it_alone(enlist: Callable[..., Hive]) -> None:
    hive = enlist()
    kept(hive, "old", POOL[7])
    assert allotted(hive, "new") == POOL[8]
    assert allotted(hive, "old") == POOL[7]
    made(hive, "new", POOL[7])
    # Somebody has it by now: what is kept is given another, which nobody has.
    assert allotted(hive, "old") == POOL[8]
    kept(hive, "foreign", 12)
    assert allotted(hive, "foreign") == POOL[8]
