"""The inbox: what waits is handed out once, in order; what was not acknowledged comes again, marked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.events import since
from hive_core.store import Store
from hive_fleet.messages import inbox, messages
from hive_fleet.messages.messages import MOST_IN_ANSWER, SYSTEM, Message, fitting, in_words, post, tell_one
from tests.properties import texts, thorough


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction, nothing of which is kept."""
    with Store(tmp_path / "hive.db").read() as db:
        db.execute("savepoint test")
        yield db


def put(db: sqlite3.Connection, *bodies: str, by: str = "tester", to: str = "coder") -> None:
    for body in bodies:
        post(db, by, to, body)


def taken(db: sqlite3.Connection, most: int = 10, name: str = "coder") -> list[tuple[str, bool]]:
    return [(message.body, message.redelivered) for message in inbox.take(db, name, most)]


def test_what_waits_is_handed_out_once_the_oldest_first(db: sqlite3.Connection) -> None:
    put(db, "one", "two", "three")
    put(db, "not its own", to="other")
    assert inbox.has_mail(db, "coder")
    assert inbox.unread(db, "coder") == 3
    assert taken(db, 2) == [("one", False), ("two", False)]
    assert taken(db, 2) == [("three", False)]
    assert taken(db) == []
    assert not inbox.has_mail(db, "coder")
    assert inbox.unread(db, "other") == 1


def test_what_was_not_acknowledged_comes_again_before_what_is_newer_and_is_marked(db: sqlite3.Connection) -> None:
    put(db, "one", "two")
    taken(db, 1)
    inbox.acknowledge(db, "coder")
    taken(db, 1)
    assert inbox.is_in_hand(db, "coder")
    put(db, "three")
    inbox.put_back(db, "coder")
    assert not inbox.is_in_hand(db, "coder")
    assert taken(db) == [("two", True), ("three", False)]
    inbox.acknowledge(db, "coder")
    inbox.put_back(db, "coder")
    assert taken(db) == []


def test_each_time_a_message_is_handed_out_is_told(db: sqlite3.Connection) -> None:
    put(db, "one")
    taken(db)
    inbox.put_back(db, "coder")
    taken(db)
    told = [(event.kind, event.data["from"], event.data["to"]) for event in since(db, 0)]
    assert told == [("sent", "tester", "coder")] + [("delivered", "tester", "coder")] * 2


def test_an_answer_holds_what_fits_and_one_message_always(db: sqlite3.Connection) -> None:
    large = "x" * (MOST_IN_ANSWER // 2 + 1)
    put(db, large, large, "small")
    assert [len(body) for body, _ in taken(db)] == [len(large)]
    assert [len(message.body) for message in inbox.take(db, "coder", 10, size=MOST_IN_ANSWER)] == []
    assert [len(body) for body, _ in taken(db)] == [len(large), 5]


def test_what_the_system_tells_comes_alone_before_what_others_have_written(db: sqlite3.Connection) -> None:
    put(db, "told", "told too", by=SYSTEM)
    put(db, "written")
    put(db, "told later", by=SYSTEM)
    assert [message.body for message in inbox.take_told(db, "coder", 10, 5)] == ["told"]
    assert [message.body for message in inbox.take_told(db, "coder", 10, 1000)] == ["told too"]
    assert inbox.take_told(db, "coder", 10, 1000) == []
    assert taken(db) == [("written", False), ("told later", False)]


def test_unread_messages_are_counted_for_each_sender_by_itself(db: sqlite3.Connection) -> None:
    put(db, "a", "b")
    put(db, "c", by="other")
    assert [inbox.unread_of(db, "coder", sender) for sender in ("tester", "other", "nobody")] == [2, 1, 0]
    taken(db, 1)
    assert inbox.unread_of(db, "coder", "tester") == 1


def test_questions_that_wait_are_counted_for_who_has_put_them(db: sqlite3.Connection) -> None:
    for asker in ("tester", "tester", "other"):
        tell_one(db, "coder", "question", id=1, asker=asker, question="which?")
    put(db, '{"asker": "tester"}', by="other")
    put(db, "You were restarted.", by=SYSTEM)
    assert inbox.unread_questions_of(db, "coder", "tester") == 2
    assert inbox.unread_questions_of(db, "coder", "other") == 1


def test_more_than_anybody_needs_to_know_is_not_counted(
    db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "MOST_COUNTED", 2)
    put(db, "a", "b", "c")
    assert inbox.unread(db, "coder") == 2


def test_a_message_on_the_wire_says_from_whom_to_whom_and_whether_it_came_before() -> None:
    message = Message(7, "tester", "coder", "hello", 100, True)
    assert message.wire() == {
        "id": 7, "from": "tester", "to": "coder", "body": "hello", "at": 100, "redelivered": True,
    }  # fmt: skip
    assert message.text().splitlines()[0].endswith(" ago, delivered before")
    assert message.text().splitlines()[1:] == ["  | hello"]


def test_what_the_system_tells_is_shown_field_by_field_and_nobody_else_can_have_that() -> None:
    body = json.dumps({"event": "rebuilt", "ok": False, "note": "line one\nline two"})
    assert in_words(SYSTEM, body) == "event: rebuilt\nok: false\nnote:\n  | line one\n  | line two"
    assert in_words("coder", body) == body
    assert in_words(SYSTEM, "You were restarted.") == "You were restarted."


@thorough
@given(texts)
def test_no_line_of_a_body_stands_where_hive_s_own_words_do(body: str) -> None:
    lines = Message(1, "tester", "coder", body, 100, False).text().split("\n")
    assert all(line.startswith("  | ") for line in lines[1:])
    assert lines[0].startswith("1: tester to coder, ")


@thorough
@given(st.lists(st.integers(0, 9), max_size=8), st.integers(0, 3), st.integers(1, 12))
def test_the_first_that_fit_are_chosen_and_never_none(sizes: list[int], size: int, most: int) -> None:
    rows = [{"id": number, "size": each} for number, each in enumerate(sizes)]
    chosen = fitting(rows, size, most)  # type: ignore[arg-type]
    assert chosen == list(range(len(chosen)))
    total = size + sum(sizes[: len(chosen)])
    assert total <= most or len(chosen) == (0 if size else 1)
    if len(chosen) < len(sizes):
        assert total + sizes[len(chosen)] > most
    assert chosen or size or not sizes


def test_a_kick_is_one_message_however_often_it_is_given(db: sqlite3.Connection) -> None:
    for _ in range(2):
        messages.kick(db, "coder", "restarted")
    assert [body for body, _ in taken(db)] == [
        "You were restarted. See your state folder for notes; your session continues."
    ]
