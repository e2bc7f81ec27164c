"""What the system tells agents: what wakes them, and whom it does not."""

from __future__ import annotations

import json

import pytest

from hive_cmds import approvals, inbox, lifecycle
from hive_core.context import Hive
from hive_core.operation import Identity, Role
from hive_fleet.messages.messages import kick
from tests.hives import TestHive


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    made = hive.inside()
    with made.store.write() as db:
        for name in ("manager", "coder", "tester"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    return made


def as_agent(hive: Hive, name: str) -> Hive:
    return hive.acting_as(Identity(Role.MANAGER if name == "manager" else Role.AGENT, name))


def bodies(received: inbox.Received) -> list[str]:
    return [message.body for message in received.messages]


def test_what_is_said_twice_before_anybody_looked_wakes_once(inside: Hive) -> None:
    with inside.store.write() as db:
        for _ in range(3):
            kick(db, "coder", "restarted")
        kick(db, "coder", "rebuilt")
    coder = as_agent(inside, "coder")
    assert [body.split(".")[0] for body in bodies(inbox.recv(coder, limit=10))] == [
        "You were restarted",
        "You were rebuilt",
    ]
    with inside.store.write() as db:
        kick(db, "coder", "restarted")
    assert len(bodies(inbox.recv(coder, limit=10))) == 1


def test_the_manager_is_not_told_what_it_did_itself_and_everybody_else_sees_it(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    manager = as_agent(inside, "manager")
    before = hive.inbox("manager")
    lifecycle.restart(manager, "coder")
    lifecycle.kill(manager, "coder")
    approvals.cancel(manager, approvals.request_spawn(manager, "helper").id)
    assert hive.inbox("manager") == before
    seen = {event["kind"] for event in hive.events("restarted", "killed", "approval_resolved")}
    assert seen == {"restarted", "killed", "approval_resolved"}
    lifecycle.start(inside, "coder")
    assert [json.loads(body)["event"] for body in hive.inbox("manager")[len(before) :]] == ["started"]
