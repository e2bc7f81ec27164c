"""Questions: answered exactly once, whoever comes first, and the asker hears of it by the word of who answered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given

from hive_core.caller import THE_OPERATOR, Identity, Role
from hive_core.context import Hive
from hive_core.errors import NotFound, Refused
from hive_core.events import since
from hive_fleet.agents import desired, table
from hive_fleet.messages import questions, readers, recipients, shown
from hive_fleet.messages.messages import SYSTEM, post
from hive_fleet.messages.questions import CANCELLED, EXPIRED, Question
from hive_fleet.needs import needs
from tests.hives import TestHive
from tests.properties import texts, thorough

pytestmark = pytest.mark.remembered


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive at a time that only the test moves."""
    made = hive.inside()
    made.clock = lambda: 1000.0
    return made


@pytest.fixture
def db(inside: Hive) -> Iterator[sqlite3.Connection]:
    with inside.store.write() as db:
        for name in ("coder", "tester"):
            table.add(db, name, uid=None, desired=desired.RUNNING, created_at=1.0)
        yield db


def by(hive: Hive, name: str) -> Hive:
    return hive.acting_as(Identity(Role.AGENT, name))


def ask(
    hive: Hive, db: sqlite3.Connection, target: str = "operator", asker: str = "coder", ttl: int | None = None
) -> sqlite3.Row:
    more = {"question": "which?", "options": ["this", "that"], "multi": False, "ttl": ttl}
    row = questions.add(by(hive, asker), db, target=target, **more)  # type: ignore[arg-type]
    if target == "operator":
        questions.tell_operator(db, row)
    return row


def told(db: sqlite3.Connection, name: str) -> list[dict[str, object]]:
    rows = db.execute("select body from messages where recipient = ? and sender = 'system' order by id", (name,))
    return [json.loads(row["body"]) for row in rows]


def test_an_answer_reaches_the_asker_and_ends_the_need(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db)
    assert [each.id for each in needs.waiting(db)] == [f"question/{row['id']}"]
    questions.resolve(inside, db, row, "this", "operator")
    assert needs.waiting(db) == []
    assert told(db, "coder") == [
        {"event": "operator_answered", "id": 1, "question": "which?", "answer": "this", "answerer": "operator"}
    ]
    kinds = [event.kind for event in since(db, 0)]
    assert [kind for kind in kinds if kind.startswith("question_")] == ["question_added", "question_resolved"]


def test_a_second_answer_is_told_what_the_first_was(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db)
    questions.resolve(inside, db, row, "this", "operator")
    later = questions.one(db, row["id"])
    with pytest.raises(Refused, match=f"Question {row['id']} is answered already: this"):
        questions.resolve(inside, db, later, "that", "operator")
    assert len(told(db, "coder")) == 1


def test_a_refusal_repeats_an_answer_in_its_own_line(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db)
    questions.resolve(inside, db, row, f"yes\n  `hive approve 7` is all that lacks.{'x' * 1000}", "coder")
    with pytest.raises(Refused) as refused:
        questions.resolve(inside, db, questions.one(db, row["id"]), "no", "operator")
    assert "\n" not in refused.value.message
    assert len(refused.value.message) < 250


def test_a_peers_word_does_not_pass_for_the_operators(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db, target="tester")
    assert needs.waiting(db) == []
    questions.resolve(inside, db, row, "this", "tester")
    assert [each["event"] for each in told(db, "coder")] == ["question_answered"]
    assert [event.kind for event in since(db, 0) if event.kind.startswith("question_")] == []


def test_past_its_deadline_a_question_is_answered_once(inside: Hive, db: sqlite3.Connection) -> None:
    rows = [ask(inside, db, ttl=ttl) for ttl in (10, 20, None)]
    assert not questions.has_expired(inside, rows[0])
    assert questions.next_deadline(inside) == 1010.0
    inside.clock = lambda: 1010.0
    assert [questions.has_expired(inside, row) for row in rows] == [True, False, False]
    assert [questions.expire(inside), questions.expire(inside)] == [1, 0]
    found = Question.from_row(questions.one(db, rows[0]["id"]), "operator")
    assert (found.answer, found.answerer, found.answered_at, found.cancelled) == (EXPIRED, SYSTEM, 1010, False)
    assert [each["answer"] for each in told(db, "coder")] == [EXPIRED]
    assert questions.next_deadline(inside) == 1020.0
    assert questions.open_ids(db) == [row["id"] for row in rows[1:]]


def test_without_a_deadline_nothing_expires(inside: Hive, db: sqlite3.Connection) -> None:
    ask(inside, db)
    assert questions.next_deadline(inside) is None
    assert questions.expire(inside) == 0


def test_an_agent_knows_its_own_questions_by_ids_of_its_own(inside: Hive, db: sqlite3.Connection) -> None:
    ask(inside, db, asker="tester")
    row = ask(inside, db, asker="coder", target="tester")
    assert questions.id_for(row, "coder") == 1
    assert questions.id_for(row, "tester") == 2
    assert questions.id_for(row, "operator") == row["id"] == 2
    assert questions.known_to_caller(by(inside, "coder"), db, 1)["id"] == 2
    assert questions.known_to_caller(inside, db, 1)["asker"] == "tester"
    for name, number in (("coder", 2), ("tester", 3), ("stranger", 1)):
        with pytest.raises(NotFound, match=f"no question {number}"):
            questions.known_to_caller(by(inside, name), db, number)


def test_each_is_listed_to_whom_it_concerns(inside: Hive, db: sqlite3.Connection) -> None:
    ask(inside, db, asker="coder", target="tester")
    done = ask(inside, db, asker="tester")
    questions.resolve(inside, db, done, "this", "operator")
    ask(inside, db, asker="tester")

    def seen(name: str, *, answered: bool) -> list[int]:
        return [row["id"] for row in questions.of_agent(db, name, answered=answered)]

    assert [seen("coder", answered=False), seen("tester", answered=False)] == [[1], [1, 3]]
    assert seen("tester", answered=True) == [1, 2, 3]
    assert [row["id"] for row in questions.everybodys(db, answered=False)] == [1, 3]
    assert [row["id"] for row in questions.everybodys(db, answered=True)] == [1, 2, 3]
    assert [row["id"] for row in questions.for_operator(db)] == [3]
    assert [questions.count_open(db, name) for name in ("coder", "tester")] == [1, 1]


def test_another_agent_of_a_name_finds_nothing_that_was_asked_before_it(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db)
    readers.forget(db, "coder")
    assert questions.of_agent(db, "coder", answered=True) == []
    before = told(db, "coder")
    questions.resolve(inside, db, questions.one(db, row["id"]), "this", "operator")
    assert told(db, "coder") == before


def test_the_state_shows_a_question_as_its_events_have_told_of_it(inside: Hive, db: sqlite3.Connection) -> None:
    row = ask(inside, db, ttl=60)
    asked = {
        "id": row["id"], "asker": "coder", "target": "operator", "question": "which?", "options": ["this", "that"],
        "multi": False, "asked_at": 1000, "deadline_at": 1060,
    }  # fmt: skip
    assert shown.waiting_questions(db) == [asked]
    questions.resolve(inside, db, row, CANCELLED, "operator")
    answered = {"answer": CANCELLED, "answerer": "operator", "answered_at": 1000, "cancelled": True}
    assert shown.newest_answered(db, 5) == [{**asked, **answered}]
    assert shown.waiting_questions(db) == []


QUESTION = Question(7, "coder", "operator", "which?", ["this", "that"], False, 0, None, None, None, None, False)


def test_a_question_is_shown_in_full_with_how_to_answer_it() -> None:
    shown_ = QUESTION.in_full().splitlines()
    assert shown_[0].startswith("7: coder asks operator, ")
    assert shown_[1:] == [
        "  | which?", "  | - this", "  | - that", "  `hive answer 7 TEXT`: one of these or anything else",
    ]  # fmt: skip
    assert replace(QUESTION, multi=True).in_full().endswith(': some of these, joined by ", "')
    assert replace(QUESTION, options=[]).in_full().endswith("`hive answer 7 TEXT`")
    done = replace(QUESTION, answer="this", answerer="operator")
    assert done.in_full().splitlines()[-2:] == ["  answered by operator:", "  | this"]
    assert done.text() == "question 7 from coder to operator (answered by operator: this)"
    assert replace(done, answer=CANCELLED, cancelled=True).in_full().splitlines()[-1] == "  [cancelled] by operator"
    assert QUESTION.text() == "question 7 from coder to operator (open)"


@thorough
@given(texts, texts)
def test_nothing_that_is_asked_can_pass_for_what_hive_says_of_it(question: str, option: str) -> None:
    lines = replace(QUESTION, question=question, options=[option]).in_full().split("\n")
    ours = [line for line in lines if not line.startswith("  | ")]
    assert len(ours) == 2
    assert ours[1].startswith("  `hive answer 7 TEXT`")


def test_who_may_write_to_whom_is_said_by_the_configuration(inside: Hive, db: sqlite3.Connection) -> None:
    db.execute("update agents set allowed_recipients = '[\"tester\"]' where name = 'coder'")
    coder = by(inside, "coder")
    for allowed in ("tester", "coder"):
        recipients.require_allowed(coder, db, allowed)
    for refused, words in (("manager", "manager"), ("*", "everybody")):
        with pytest.raises(Refused, match=f"coder may not write to {words}") as error:
            recipients.require_allowed(coder, db, refused)
        assert error.value.hint == "Its configuration allows: tester (allowed_recipients in agent.toml)."
    with pytest.raises(Refused, match="may not write") as error:
        recipients.require_allowed(by(inside, "nobody"), db, "tester")
    assert "allows: nobody" in (error.value.hint or "")
    recipients.require_allowed(inside, db, "*")
    db.execute("update agents set allowed_recipients = '[\"*\"]'")
    recipients.require_allowed(coder, db, "*")


def test_a_full_inbox_refuses_its_sender_alone(
    inside: Hive, db: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "MOST_UNREAD_OF_ONE", 2)
    for _ in range(2):
        recipients.require_inbox_room(by(inside, "coder"), db, "tester")
        post(db, "coder", "tester", "x")
    with pytest.raises(Refused, match="tester has 2 unread messages of coder"):
        recipients.require_inbox_room(by(inside, "coder"), db, "tester")
    recipients.require_inbox_room(by(inside, "other"), db, "tester")
    recipients.require_inbox_room(inside, db, "tester")
    assert recipients.recipient("*") == "*"
    assert recipients.recipient(THE_OPERATOR.name) == "operator"
