"""Repairs: one that fails stops nobody, is told once, kept, and tried ever later."""

from __future__ import annotations

import sqlite3
from typing import NoReturn

import pytest

from hive_core import repairs
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.events import since
from hive_core.locks import Busy
from hive_core.repairs import FIRST_PAUSE, LONGEST_ERROR, LONGEST_PAUSE
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    made = hive.inside()
    made.clock = lambda: 1000.0
    return made


def fail(hive: Hive, error: Exception, what: str = "denied/1", agent: str = "coder") -> str:
    def mend() -> NoReturn:
        raise error

    failed = repairs.attempt(hive, what, agent, mend)
    assert failed is not None
    return failed.error


def kept(hive: Hive) -> dict[str, tuple[int, float]]:
    with hive.store.read() as db:
        return {what: (failed.tries, failed.due_at) for what, failed in repairs.all_failed(hive, db).items()}


def told(hive: Hive) -> list[str]:
    with hive.store.read() as db:
        return [event.data["note"] for event in since(db, 0) if event.kind == "repair_failed"]


def mended(hive: Hive, what: str = "denied/1") -> bool:
    with hive.store.write() as db:
        return repairs.done(hive, db, what)


def test_one_that_succeeds_leaves_no_trace(inside: Hive, said: list[str]) -> None:
    assert repairs.attempt(inside, "denied/1", "coder", lambda: None) is None
    assert (kept(inside), told(inside), said) == ({}, [], [])
    assert not mended(inside)


def test_one_that_fails_is_tried_ever_later_and_told_once(inside: Hive, said: list[str]) -> None:
    pauses = []
    for _ in range(15):
        fail(inside, HiveError("It is broken."))
        tries, due_at = kept(inside)["denied/1"]
        pauses.append(due_at - 1000.0)
    assert tries == 15
    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-2:] == [LONGEST_PAUSE, LONGEST_PAUSE]
    assert told(inside) == ["It is broken."]
    assert said == ["warning: what was left half-done of coder (denied/1) could not be mended: It is broken."]


def test_another_reason_is_told_again_and_it_is_still_the_same_repair(inside: Hive, said: list[str]) -> None:
    fail(inside, HiveError("It is broken."))
    inside.clock = lambda: 2000.0
    fail(inside, HiveError("It is gone."))
    assert told(inside) == ["It is broken.", "It is gone."]
    with inside.store.read() as db:
        found = repairs.all_failed(inside, db)["denied/1"]
    assert (found.since, found.tried_at, found.tries) == (1000.0, 2000.0, 2)


def test_when_it_is_mended_it_is_as_if_it_had_never_failed(inside: Hive, said: list[str]) -> None:
    fail(inside, HiveError("It is broken."))
    assert mended(inside)
    assert not mended(inside)
    fail(inside, HiveError("It is broken."))
    assert kept(inside) == {"denied/1": (1, 1000.0 + FIRST_PAUSE)}
    assert len(said) == 2


def test_each_is_its_agents(inside: Hive) -> None:
    for what, agent in (("denied/1", "coder"), ("denied/2", "tester"), ("denied/3", "coder")):
        fail(inside, HiveError("It is broken."), what, agent)
    with inside.store.read() as db:
        found = repairs.by_agent(inside, db)
    assert {agent: [each.what for each in failed] for agent, failed in found.items()} == {
        "coder": ["denied/1", "denied/3"], "tester": ["denied/2"],
    }  # fmt: skip


def test_who_is_at_it_already_is_no_failure(inside: Hive) -> None:
    def mend() -> NoReturn:
        raise Busy("agent-coder", "process 1, approving")

    with pytest.raises(Busy):
        repairs.attempt(inside, "denied/1", "coder", mend)
    assert kept(inside) == {}


def test_why_it_failed_is_a_sentence_of_whatever_went_wrong(inside: Hive) -> None:
    assert fail(inside, HiveError("It is broken.", "Mend it.")) == "It is broken."
    assert fail(inside, PermissionError(13, "Permission denied", "/hive/x")) == "/hive/x: Permission denied."
    assert fail(inside, TimeoutError(110, "Timed out")) == "The system: Timed out."
    # Of a bug of hive's own it is told where.
    assert fail(inside, KeyError("x")).startswith("KeyError: 'x' (test_repairs.py, line ")
    assert len(fail(inside, HiveError("x" * 10_000))) == LONGEST_ERROR


def test_without_a_database_to_write_this_process_alone_remembers_and_says_it_once(
    inside: Hive, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(inside, HiveError("It is broken."))
    # As on a disk that has become full: what is there can be read, and nothing written.
    with monkeypatch.context() as patched:
        patched.setattr(type(inside.store), "write", _full)
        for _ in range(2):
            fail(inside, HiveError("The disk is full."))
        assert kept(inside)["denied/1"][0] == 3
        assert list(inside.unwritten) == ["denied/1"]
    assert len(said) == 2
    fail(inside, HiveError("The disk is full."))
    assert (inside.unwritten, kept(inside)["denied/1"][0], len(said)) == ({}, 4, 2)
    with monkeypatch.context() as patched:
        patched.setattr(type(inside.store), "write", _full)
        fail(inside, HiveError("The disk is full."))
    assert mended(inside)
    assert (inside.unwritten, kept(inside)) == ({}, {})


def _full(*_arguments: object) -> NoReturn:
    raise sqlite3.OperationalError("database or disk is full")
