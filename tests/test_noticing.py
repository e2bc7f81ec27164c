"""What an author forgets is noticed, and nothing else is."""

from __future__ import annotations

import pytest

from hive_core.context import Hive
from hive_core.events import emit
from hive_core.store import Store
from tests import noticing
from tests.hives import TestHive


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
        emit(db, "spawned", agent="coder")
    assert said == []


def test_what_is_written_as_it_was_is_no_change(hive: TestHive, said: list[str]) -> None:
    inside = hive.inside()
    with inside.lock("coder", "a test"), inside.store.write() as db:
        db.execute(ADD)
        emit(db, "spawned", agent="coder")
    with inside.store.write() as db:
        db.execute("update agents set paused = 0, hive_rev = null")
    assert said == []
