"""The list of what needs the operator: each change has its event, and what was acknowledged comes back when it changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.errors import Invalid, NotFound
from hive_core.events import since
from hive_core.need_kinds import NEED_KINDS
from hive_core.store import Store
from hive_fleet.needs import needs
from hive_fleet.needs.need import QUOTED, Need, in_short, kinds, need_id
from tests.properties import thorough

CRASH = Need("crash", "coder", "coder", "crashed: exit code 1", "hive journal coder", since=100)
REQUEST = Need("request", "7", "coder", "manager asks to make coder", "hive show 7", "please", since=50)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "hive.db")
    yield made
    made.close()


def told(store: Store) -> list[tuple[str, Any]]:
    with store.read() as db:
        return [(event.kind, event.data["need"]) for event in since(db, 0)]


def test_what_comes_changes_and_goes_is_told_with_the_whole_row(store: Store) -> None:
    with store.write() as db:
        needs.put(db, CRASH)
        needs.put(db, CRASH)
        needs.put(db, replace(CRASH, said="crashed: SIGKILL", since=200))
        needs.resolve(db, CRASH.id)
        needs.resolve(db, CRASH.id)
    first = CRASH.wire()
    second = {**first, "text": "crashed: SIGKILL"}
    assert told(store) == [("need_added", first), ("need_changed", second), ("need_resolved", second)]
    assert first == {
        "id": "crash/coder",
        "kind": "crash",
        "agent": "coder",
        "since": 100,
        "text": "crashed: exit code 1",
        "command": "hive journal coder",
        "weight": 3,
    }


def test_the_oldest_comes_first(store: Store) -> None:
    with store.write() as db:
        needs.put(db, CRASH)
        needs.put(db, REQUEST)
        assert [need.id for need in needs.every(db)] == ["request/7", "crash/coder"]


def test_what_is_acknowledged_waits_no_more_until_it_changes_and_is_never_forgotten(store: Store) -> None:
    with store.write() as db:
        needs.put(db, CRASH)
        assert needs.acknowledge(db, CRASH.id, 110).acknowledged_at == 110
        assert needs.acknowledge(db, CRASH.id, 120).acknowledged_at == 110
        needs.put(db, CRASH)
        assert needs.waiting(db) == []
        assert [need.acknowledged_at for need in needs.every(db)] == [110]
        needs.put(db, replace(CRASH, said="crashed: SIGKILL"))
        assert [need.acknowledged_at for need in needs.waiting(db)] == [None]
    assert [kind for kind, _ in told(store)] == ["need_added", "need_changed", "need_changed"]


def test_only_what_is_there_can_be_acknowledged(store: Store) -> None:
    with store.write() as db, pytest.raises(NotFound, match="crash/nobody"):
        needs.acknowledge(db, "crash/nobody", 1)


def test_of_an_agent_exactly_what_is_said_is_in_the_list_and_others_are_left_alone(store: Store) -> None:
    others = replace(CRASH, subject="tester", agent="tester")
    stale = Need("stale", "coder", "coder", "old", "hive update --stale", since=1)
    with store.write() as db:
        for need in (CRASH, REQUEST, others):
            needs.put(db, need)
        needs.hold(db, "coder", {"crash", "stale"}, [stale])
        assert {need.id for need in needs.every(db)} == {"request/7", "crash/tester", "stale/coder"}
        assert not needs.agrees(db, [stale])
        needs.replace_all(db, [stale])
        assert needs.agrees(db, [stale])


def test_a_row_read_back_is_what_was_put(store: Store) -> None:
    disk = Need("disk", "", None, "full soon", "hive doctor", since=1)
    with store.write() as db:
        needs.put(db, disk)
        needs.put(db, REQUEST)
        assert needs.every(db) == [disk, REQUEST]
    assert json.loads(json.dumps(disk.wire()))["id"] == "disk"


def test_of_long_words_a_part_is_quoted() -> None:
    long = replace(REQUEST, quote="x" * 10_000)
    assert len(str(long.quote)) == QUOTED
    assert replace(long, since=1).quote == long.quote


def test_the_list_is_found_by_its_indexes(store: Store) -> None:
    with store.read() as db:
        plan = [row[3] for row in db.execute("explain query plan select * from needs indexed by needs_waiting"
                                             " where acknowledged_at is null order by since, id")]  # fmt: skip
    assert plan == ["SCAN needs USING INDEX needs_waiting"]


def test_what_is_no_id_is_refused_at_the_door() -> None:
    for id in ("request/7", "disk", "crash/w-2", *NEED_KINDS):
        assert need_id(id) == id
    for wrong in ("", "7", "../x", "crash/", "Crash/x", "crash/x y", "crash/\x1b[31m", 7, None, "a" * 500):
        with pytest.raises(Invalid):
            need_id(wrong)


def test_needs_are_counted_by_their_kinds_the_gravest_first() -> None:
    found = [REQUEST, CRASH, replace(REQUEST, subject="8"), replace(CRASH, subject="b"), replace(CRASH, subject="c")]
    assert kinds(found) == {"crash": 3, "request": 2}
    assert list(kinds(found)) == ["crash", "request"]
    assert in_short(found) == "3 × crash, 2 × request"
    assert in_short([Need("needs_login", "a", "a", "needs a login", "hive login a")]) == "1 × needs login"
    assert in_short([]) == ""


def test_a_need_is_shown_in_a_line_with_the_words_of_whom_it_is_about() -> None:
    assert REQUEST.text() == "request/7: manager asks to make coder: please"
    known = replace(REQUEST, acknowledged_at=60)
    assert known.detail == "manager asks to make coder: please (acknowledged)"
    assert (REQUEST.ok, known.ok) == (False, True)
    assert (CRASH.sentence, REQUEST.sentence) == ("coder crashed: exit code 1", "manager asks to make coder")


def test_of_agents_at_once_only_the_named_kinds_go(store: Store) -> None:
    with store.write() as db:
        for need in (CRASH, REQUEST, replace(CRASH, subject="b", agent="b")):
            needs.put(db, need)
        needs.resolve_of_agents(db, {"crash"})
        assert [need.id for need in needs.every(db)] == ["request/7"]


@thorough
@given(st.text(alphabet="abz019/_-. \nA", max_size=20))
def test_an_id_is_taken_if_it_names_a_kind_and_whose_it_is(text: str) -> None:
    kind, slash, subject = text.partition("/")
    plain = set("abcdefghijklmnopqrstuvwxyz_")
    is_one = bool(kind) and set(kind) <= plain
    if slash:
        is_one = is_one and subject[:1].isalnum() and subject[:1] != "A" and set(subject) <= set("abz019/-")
    if is_one:
        assert need_id(text) == text
    else:
        with pytest.raises(Invalid, match="is not the id of something that needs you"):
            need_id(text)
