"""What an author forgets is noticed, and nothing else is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from hive_core.context import Hive
from hive_core.events import emit
from hive_core.store import Store
from hive_fleet.agents import last_seen
from hive_fleet.changes.running import STOPPING
from tests import noticing
from tests.hives import TestHive, at_work, looking_through


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    for owner, name in ((Store, "write"), (Hive, "lock")):
        monkeypatch.setattr(owner, name, getattr(owner, name))
    sentences: list[str] = []
    noticing.install(sentences.append)
    return sentences


ADD = "insert into agents (name, desired, created_at) values ('coder', 'stopped', 0)"


def test_a_change_without_an_event_and_without_the_lock_is_noticed(hive: TestHive, said: list[str]) -> None:
    with hive.inside().store.write() as db:
        db.execute(ADD)
    assert said == [
        "a test changed without an event: insert agents (coder)",
        "a test changed coder without holding its lock: insert agents (coder)",
    ]


def test_a_change_with_its_event_under_the_lock_is_not(hive: TestHive, said: list[str]) -> None:
    inside = hive.inside()
    with inside.lock("coder", "a test"), inside.store.write() as db:
        db.execute(ADD)
        emit(db, "container_state_changed", container={"name": "coder"})
    assert said == []


def test_a_change_of_many_rows_and_one_after_a_change_that_was_undone_are_noticed(
    hive: TestHive, said: list[str]
) -> None:
    store = hive.inside().store
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), store.write() as db:
            db.executemany("insert into halts (one, at) values (1, ?)", [(0,)])
            raise ZeroDivisionError
    assert said == []
    with store.write() as db:
        db.executemany("insert into halts (one, at) values (1, ?)", [(0,)])
    assert said == ["a test changed without an event: insert halts (1)"]


def test_an_event_of_another_row_or_another_kind_tells_nothing_of_it(hive: TestHive, said: list[str]) -> None:
    add = "insert into questions (asker, target, question, options, multi, asked_at) values ('operator', 'operator', '?', '[]', 0, 0)"
    told = {"asker": "a", "question": "?", "options": [], "multi": False, "asked_at": 0}
    with hive.inside().store.write() as db:
        db.execute(add)
        emit(db, "question_added", id=1, **told)
    assert said == []
    with hive.inside().store.write() as db:
        db.execute(add)
        emit(db, "question_added", id=1, **told)
    with hive.inside().store.write() as db:
        db.execute(add)
        emit(db, "resumed")
    assert said == [f"a test changed without an event: insert questions ({id})" for id in (2, 3)]


def test_after_an_event_that_has_everybody_ask_anew_all_is_known(hive: TestHive, said: list[str]) -> None:
    with hive.inside().store.write() as db:
        db.execute("insert into halts (one, at) values (1, 0)")
        emit(db, "restored")
    assert said == []


@pytest.mark.remembered
def test_of_an_agents_row_nothing_is_otherwise_than_it_was_told_last(hive: TestHive, said: list[str]) -> None:
    hive.spawn("coder")
    inside = hive.inside()

    def change(what: str) -> list[str]:
        said.clear()
        with inside.store.write() as db:
            db.execute(f"update agents set {what}")
        return said

    assert change("active_model = 'x'") == ["a test changed without an event: update agents.active_model (coder)"]
    with last_seen.showing(inside, "coder") as db:
        db.execute("update agents set active_model = 'y', paused = 1")
    assert change("crash_log = '[[0, \"exit code 3\"]]', moved = '{}', restart_at = 5, restart_told = 1") == []
    assert change("paused = 0, stuck_minutes = 5") == ["a test changed without an event: update agents.paused (coder)"]
    assert change("paused = 0, stuck_minutes = 5") == []
    # It runs: shown is what its harness says, and not that it is missing.
    assert change("state = 'thinking'") == ["a test changed without an event: update agents.state (coder)"]
    assert change("crashes = 99") == []
    with at_work(inside, "coder", STOPPING):
        assert change("desired = 'stopped', state = null, status_text = null") == []


@pytest.mark.remembered
def test_what_an_operation_forgets_is_undone_also_in_a_thread_that_it_starts(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()

    def forget() -> None:
        with closing(inside.store), inside.store.write() as db:
            db.execute("update agents set paused = 1")

    forgotten = r"changed without an event: update agents\.paused"
    with looking_through(), ThreadPoolExecutor(1) as beside, pytest.raises(AssertionError, match=forgotten):
        beside.submit(forget).result()
    assert hive.agent("coder")["paused"] is False
