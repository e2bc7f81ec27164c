"""Agents that are rows alone: what is tried of them needs no container."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hive_core.context import Hive
from hive_fleet.agents import desired, table
from tests.hives import TestHive


@pytest.fixture
def enlist(hive: TestHive) -> Callable[..., Hive]:
    """Makes rows of agents that are to run, and returns the hive that has them."""

    def make(*names: str) -> Hive:
        inside = hive.inside()
        with inside.store.write() as db:
            for name in names:
                table.add(db, name, uid=None, desired=desired.RUNNING, created_at=1.0)
        return inside

    return make
