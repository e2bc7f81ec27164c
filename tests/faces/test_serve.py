"""Serving an operation: what dead processes left is mended first, and nothing of that keeps anybody from theirs."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from hive_cmds.inbox import Received
from hive_core import progress
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.operation import EVERYONE, REGISTRY, Operation, operation
from hive_core.process import Owner
from hive_faces.serve import is_empty, serve, serve_once
from hive_faces.verbs import find
from hive_fleet.agents import desired, table
from hive_fleet.changes.running import STOPPING
from hive_fleet.messages.messages import post
from tests.hives import PATIENCE, TestHive

pytestmark = pytest.mark.remembered

# A process that is not there any more.
GONE = Owner(1, 1, "another boot")


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    made = hive.inside()
    with made.store.write() as db:
        table.add(db, "coder", uid=None, desired=desired.STOPPED, created_at=1.0)
    return made


def declared(function: Callable[..., Any], **more: Any) -> Operation:
    """An operation as it would be declared, which nobody finds."""
    operation(callers=EVERYONE, group="Agents", **more)(function)
    return REGISTRY.pop(function.__name__)


def left_behind(hive: Hive) -> None:
    """An operation on an agent whose process was killed in it."""
    with hive.store.write() as db:
        columns = "agent, kind, since, owner, change, detail, steps"
        row = ("coder", "stopping", 1.0, GONE.to_json(), STOPPING.address, "{}", "[]")
        db.execute(f"insert into operations ({columns}) values (?, ?, ?, ?, ?, ?, ?)", row)


def in_progress(hive: Hive) -> set[str]:
    with hive.store.read() as db:
        return set(progress.all_in_progress(db))


def test_what_a_dead_process_left_is_mended_before_an_operation_runs(inside: Hive) -> None:
    left_behind(inside)

    def look(hive: Hive) -> set[str]:
        """Look at what is in progress."""
        return in_progress(hive)

    assert serve_once(inside, declared(look), {}) == set()


def test_who_has_no_time_for_that_leaves_it(inside: Hive) -> None:
    left_behind(inside)

    def hurry(hive: Hive) -> set[str]:
        """Look at what is in progress."""
        return in_progress(hive)

    assert serve_once(inside, declared(hurry, at_once=True), {}) == {"coder"}


def test_a_database_that_cannot_be_read_keeps_nobody_from_what_needs_none(inside: Hive, said: list[str]) -> None:
    inside.store.close()
    inside.settings.database.write_bytes(b"nonsense " * 1000)

    def greet(hive: Hive, name: str = "") -> str:
        """Greet."""
        return "hello"

    assert serve(inside, declared(greet), {}) == "hello"
    assert said[0].startswith("warning: what was left half-done could not be looked up: ")
    assert "is damaged" in said[0]


def test_of_a_database_of_a_newer_hive_nothing_is_said_by_who_needs_none(inside: Hive, said: list[str]) -> None:
    inside.store.close()
    with closing(sqlite3.connect(inside.settings.database)) as db, db:
        db.execute("insert into migrations values ('m999_future', 0)")

    def greet(hive: Hive) -> str:
        """Greet."""
        return "hello"

    assert serve(inside, declared(greet), {}) == "hello"
    assert said == []


def as_coder(hive: Hive) -> Hive:
    return hive.acting_as(Identity(Role.AGENT, "coder"))


def recv(hive: Hive, **arguments: Any) -> Received:
    found = find("recv")
    assert found is not None
    result: Received = serve(as_coder(hive), found, {"wait": 0, "limit": 10, **arguments})
    return result


def test_who_waits_for_a_message_gets_what_is_there_at_once(inside: Hive) -> None:
    with inside.store.write() as db:
        post(db, "operator", "coder", "hello")
    assert [message.body for message in recv(inside, wait=60).messages] == ["hello"]


def test_who_waits_in_vain_is_answered_when_the_time_is_over(inside: Hive) -> None:
    assert is_empty(recv(inside, wait=0))


def test_who_waits_is_woken_by_the_commit_of_a_message_and_by_no_other(inside: Hive, hive: TestHive) -> None:
    found: list[Received] = []
    waiting = threading.Thread(target=lambda: found.append(recv(hive.inside(), wait=int(PATIENCE))))
    waiting.start()
    with inside.store.write() as db:
        post(db, "operator", "operator", "for somebody else")
    with inside.store.write() as db:
        post(db, "operator", "coder", "hello")
    waiting.join(PATIENCE)
    assert [message.body for message in found[0].messages] == ["hello"]
