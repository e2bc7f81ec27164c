"""The table of agents: who there is, what is wanted of them, and what their harnesses said."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from hive_core.errors import NotFound
from hive_fleet.agents import desired, harness_state, table
from hive_fleet.agents.refusals import refuse_unknown
from tests.hives import TestHive


@pytest.fixture
def db(hive: TestHive) -> Iterator[sqlite3.Connection]:
    """A transaction in a hive with a manager, an agent that is stopped, and one that rests."""
    with hive.inside().store.write() as db:
        table.add(db, "tester", uid=None, desired=desired.RESTING, created_at=1.0, parent="manager")
        table.add(db, "coder", uid=700001, desired=desired.STOPPED, created_at=2.0)
        table.add(db, "manager", uid=700000, desired=desired.RUNNING, created_at=3.0)
        yield db


def test_an_agent_that_is_not_there_is_refused_with_the_name_that_was_meant(db: sqlite3.Connection) -> None:
    assert table.find(db, "codr") is None
    with pytest.raises(NotFound, match="no agent 'codr'") as refused:
        table.one(db, "codr")
    assert "Did you mean 'coder'?" in str(refused.value)


def test_a_check_of_who_is_there_refuses_a_stranger(hive: TestHive) -> None:
    with pytest.raises(NotFound):
        refuse_unknown(hive.inside(), "stranger")


def test_an_agent_that_was_removed_is_not_there_and_cannot_be_removed_again(db: sqlite3.Connection) -> None:
    assert table.names(db) == ["coder", "manager", "tester"]
    assert table.remove(db, "coder")
    assert not table.remove(db, "coder")
    assert table.users(db) == {"manager": 700000, "tester": None}


def test_an_agent_is_not_added_twice(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        table.add(db, "coder", uid=None, desired=desired.RUNNING, created_at=4.0)


def test_those_that_should_run_are_named_with_the_manager_first(db: sqlite3.Connection) -> None:
    assert desired.names(db, desired.RUNNING, desired.RESTING, desired.STOPPED) == ["manager", "coder", "tester"]
    assert desired.names(db, desired.RUNNING, desired.RESTING) == ["manager", "tester"]


def test_what_is_wanted_anew_cancels_a_restart_and_forgets_what_the_harness_said(db: sqlite3.Connection) -> None:
    db.execute("update agents set restart_at = 5")
    for name, state in {"coder": "thinking", "tester": "needs_login"}.items():
        harness_state.record(db, name, state=state, text="so", model="m", until=None, at=6.0)
        desired.want(db, name, desired.RUNNING)
    coder, tester = table.one(db, "coder"), table.one(db, "tester")
    assert (coder["desired"], coder["restart_at"], coder["state"], coder["status_text"]) == (
        "running",
        None,
        None,
        None,
    )
    assert (tester["state"], tester["status_text"]) == ("needs_login", "so")
    harness_state.forget_login(db, "tester")
    assert table.one(db, "tester")["state"] is None


def test_a_build_is_remembered_with_whom_the_agent_may_write_to(db: sqlite3.Connection) -> None:
    build = {"runner": "claude", "restart": "always", "given": {"B", "A"}, "recipients": ["manager"]}
    table.record_build(db, "coder", base="old", **build)
    table.record_build(db, "tester", base="new", **build)
    assert table.built_with_another(db, "new") == ["coder"]
    assert table.runners(db) == {"coder": "claude", "manager": "command", "tester": "claude"}
    assert table.given_variables(table.one(db, "coder")) == {"A", "B"}
    assert table.allowed_recipients(db, "coder") == ["manager"]
    assert table.allowed_recipients(db, "stranger") == []


def test_a_model_that_was_chosen_hides_the_one_in_use_until_a_turn_tells_it(db: sqlite3.Connection) -> None:
    harness_state.record(db, "coder", state="idle", text=None, model="first", until=None, at=1.0)
    harness_state.record(db, "coder", state="thinking", text=None, model=None, until=None, at=2.0)
    assert table.one(db, "coder")["active_model"] == "first"
    harness_state.choose_model(db, "coder", "second")
    row = table.one(db, "coder")
    assert (row["model"], row["active_model"]) == ("second", None)


def test_an_agent_that_goes_on_is_said_to_be_paused_no_more(db: sqlite3.Connection) -> None:
    harness_state.pause(db, "coder", True)
    harness_state.record(db, "coder", state="idle", text="paused", model=None, until=None, at=1.0)
    harness_state.pause(db, "coder", False)
    row = table.one(db, "coder")
    assert (row["paused"], row["status_text"]) == (0, None)
