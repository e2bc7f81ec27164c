"""Questions: answered once, whoever races; deadlines that outlive the gate; nobody else's business."""

from __future__ import annotations

import json
import re
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from hive_cmds import questions
from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.events import since
from hive_fleet.messages.questions import expire
from tests.clients import Client
from tests.hives import TestHive, eventually


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive with two agents in its database, called in Python."""
    made = hive.inside()
    with made.store.write() as db:
        for name in ("coder", "tester"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    return made


def as_agent(hive: Hive, name: str) -> Hive:
    return hive.acting_as(Identity(Role.AGENT, name))


def inbox(hive: Hive, name: str) -> list[dict[str, object]]:
    with hive.store.read() as db:
        rows = db.execute("select body from messages where recipient = ? order by id", (name,))
        return [json.loads(row["body"]) for row in rows]


def kinds(hive: Hive) -> list[str]:
    with hive.store.read() as db:
        return [event.kind for event in since(db, 0)]


def test_the_asker_is_told_the_answer(inside: Hive) -> None:
    asked = questions.ask(as_agent(inside, "coder"), "Which one?", ["a", "b"], multi=True)
    assert (asked.target, asked.options, asked.multi, asked.answer) == ("operator", ["a", "b"], True, None)
    answered = questions.answer(inside, asked.id, "a, b")
    assert (answered.answer, answered.answerer) == ("a, b", "operator")
    assert inbox(inside, "coder") == [
        {
            "event": "operator_answered",
            "id": asked.id,
            "question": "Which one?",
            "answer": "a, b",
            "answerer": "operator",
        }
    ]
    assert [kind for kind in kinds(inside) if kind.startswith("question")] == ["question_added", "question_resolved"]


def test_a_question_between_agents_is_not_the_operators(inside: Hive) -> None:
    asked = questions.ask(as_agent(inside, "coder"), "Done?", to="tester")
    assert inbox(inside, "tester")[0]["event"] == "question"
    questions.answer(as_agent(inside, "tester"), asked.id, "yes")
    # An event of its own: what a peer says must not pass for the operator's word.
    assert inbox(inside, "coder") == [
        {"event": "question_answered", "id": asked.id, "question": "Done?", "answer": "yes", "answerer": "tester"}
    ]
    assert not [kind for kind in kinds(inside) if kind.startswith("question")]


def test_what_was_asked_between_others_does_not_exist(inside: Hive) -> None:
    asked = questions.ask(as_agent(inside, "coder"), "Secret?")
    stranger = as_agent(inside, "tester")
    for act in (
        lambda: questions.answer(stranger, asked.id, "x"),
        lambda: questions.cancel_question(stranger, asked.id),
    ):
        with pytest.raises(NotFound):
            act()
    assert questions.questions(stranger, all=True) == []
    with pytest.raises(NotFound):
        questions.answer(inside, 999, "x")


def test_its_asker_cannot_answer_what_it_asked_the_operator(inside: Hive) -> None:
    coder = as_agent(inside, "coder")
    asked = questions.ask(coder, "May I?")
    with pytest.raises(Refused, match="asked of operator"):
        questions.answer(coder, asked.id, "yes")


def test_a_cancelled_question_says_so(inside: Hive) -> None:
    asked = questions.ask(as_agent(inside, "coder"), "Still?")
    assert questions.cancel_question(inside, asked.id).cancelled is True
    assert inbox(inside, "coder")[-1]["answer"] == "[cancelled]"
    with pytest.raises(Refused, match="answered already"):
        questions.answer(inside, asked.id, "late")


def test_an_answer_after_the_deadline_is_refused_and_the_asker_told_that_it_expired(inside: Hive) -> None:
    asked = questions.ask(as_agent(inside, "coder"), "Quick?", ttl=10)
    late = replace(inside, clock=lambda: inside.clock() + 11)
    with pytest.raises(Refused, match="expired"):
        questions.answer(late, asked.id, "yes")
    assert inbox(inside, "coder")[-1]["answer"] == "[expired]"
    assert expire(late) == 0


def test_answer_cancel_and_expiry_at_the_same_moment_leave_one(inside: Hive, hive: TestHive) -> None:
    coder = as_agent(inside, "coder")
    for _ in range(20):
        asked = questions.ask(coder, "Now?", ttl=1)
        late = replace(hive.inside(), clock=lambda: inside.clock() + 2)
        acts = [
            lambda: questions.answer(hive.inside(), asked.id, "yes"),  # noqa: B023  (all run in this round)
            lambda: questions.cancel_question(hive.inside(), asked.id),  # noqa: B023
            lambda: expire(late),  # noqa: B023
        ]
        start = threading.Barrier(len(acts))
        threads = [threading.Thread(target=_race, args=(start, act)) for act in acts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        told = [message for message in inbox(inside, "coder") if message["id"] == asked.id]
        assert len(told) == 1
        assert told[0]["answer"] in ("yes", "[cancelled]", "[expired]")
    assert kinds(inside).count("question_resolved") == 20


def _race(start: threading.Barrier, act) -> None:  # type: ignore[no-untyped-def]
    start.wait()
    with suppress(Refused):  # It was answered already, or has expired: who told the asker is what counts.
        act()


@pytest.mark.remembered
def test_a_deadline_is_kept_by_a_gate_that_was_started_after_it_was_set(hive: TestHive) -> None:
    hive.spawn("coder")
    asked = questions.ask(as_agent(hive.inside(), "coder"), "Anybody?", ttl=1)
    gate = hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    gate.kill()
    gate.wait()
    hive.start("gate")
    answer = eventually(lambda: questions.questions(hive.inside(), all=True)[0].answer)
    assert answer == "[expired]"
    path: Path = hive.root / "run" / "agents" / "coder.sock"
    with Client(eventually(lambda: path if path.exists() else None)) as client:
        bodies = [message["body"] for message in client.ask("recv", wait=0, limit=100)["messages"]]
    assert sum(f'"id":{asked.id}' in body for body in bodies) == 1


@pytest.mark.parametrize("wrong", [{"ttl": 0}, {"ttl": -1}, {"ttl": 10**12}, {"options": ["x"] * 21}, {"question": ""}])
def test_what_cannot_be_asked_is_refused(hive: TestHive, wrong: dict[str, object]) -> None:
    from hive_faces.verbs import find

    operation = find("ask")
    assert operation is not None
    with pytest.raises(HiveError):
        operation.call(hive.inside(), {"question": "ok?", **wrong})


def test_the_shell_shows_a_question_in_full_with_its_options_and_how_to_answer_it(hive: TestHive, inside: Hive) -> None:
    coder = as_agent(inside, "coder")
    questions.ask(coder, "Which\none?\x20\u202e", ["red", "blue\n1: spoofed"], multi=True, ttl=7200)
    questions.ask(coder, "Anything?")
    # Seconds may have passed since.
    shown = re.sub(r"\b\d+ s ago", "0 s ago", hive.run("questions").stdout)
    assert shown.splitlines() == [
        "1: coder asks operator, 0 s ago, expires in 1 h",
        "  | Which",
        "  | one? \\u{202e}",
        "  | - red",
        "  | - blue\\n1: spoofed",
        '  `hive answer 1 TEXT`: some of these, joined by ", "',
        "",
        "2: coder asks operator, 0 s ago",
        "  | Anything?",
        "  `hive answer 2 TEXT`",
    ]
    hive.run("answer", "1", "red")
    hive.run("cancel-question", "2")
    told = hive.run("questions", "--all").stdout
    assert "answered by operator:\n  | red\n" in told
    assert told.rstrip().endswith("\n  [cancelled] by operator")
