"""Three agents who write to each other, as the tests of messages begin; nothing of them runs."""

from __future__ import annotations

import pytest

from hive_cmds import inbox
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from tests.hives import TestHive


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive with a manager and two more agents."""
    made = hive.inside()
    with made.store.write() as db:
        for name in ("manager", "coder", "tester"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    return made


def as_agent(hive: Hive, name: str) -> Hive:
    """The hive as one of them calls it."""
    return hive.acting_as(Identity(Role.MANAGER if name == "manager" else Role.AGENT, name))


def bodies(received: inbox.Received) -> list[str]:
    """What was received."""
    return [message.body for message in received.messages]
