"""What the system tells agents: what wakes them, and whom it does not."""

from __future__ import annotations

import json

import pytest

from hive_cmds import approvals, inbox, lifecycle, removal
from hive_core.context import Hive
from hive_fleet.messages.messages import BYTES_REMOVED, kick, post
from tests.hives import TestHive
from tests.mail import as_agent, bodies, inside

__all__ = ["inside"]


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


@pytest.mark.remembered
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


def test_a_full_inbox_is_removed_a_little_at_a_time_so_that_others_write_in_between(hive: TestHive) -> None:
    inside, size = hive.inside(), 256 * 1024
    inside.agent_path("coder").mkdir(parents=True)
    with inside.store.write() as db:
        for _ in range(20):
            post(db, "tester", "coder", "x" * size)
    removed: list[int] = []
    most = 0

    def note(statement: str) -> None:
        nonlocal most
        most = max(most, len(removed))
        if statement.lower().startswith("begin"):
            removed.clear()

    inside.store.connection().create_function("removed", 1, removed.append)
    inside.store.connection().execute(
        "create temp trigger noted before delete on messages begin select removed(old.id); end"
    )
    inside.store.connection().set_trace_callback(note)
    removal.purge(inside, "coder")
    inside.store.connection().set_trace_callback(None)
    with inside.store.read() as db:
        assert db.execute("select count(*) from messages where recipient = 'coder'").fetchone()[0] == 0
    assert 0 < most <= BYTES_REMOVED // size
