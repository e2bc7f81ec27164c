"""What an agent sees depends on itself alone: not on how much others say, nor on what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hive_cmds import inbox, messages, questions, removal
from hive_core import migrations, wire
from hive_core.caller import THE_OPERATOR
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.store import Store
from hive_faces.verbs import everything
from hive_fleet.messages.questions import expire
from hive_fleet.messages.search import RANKED
from tests.hives import TestHive
from tests.mail import as_agent

SECRET = "the vault opens with tangerine"
OTHERS = ("tester", "writer")


def made(root: Path) -> Hive:
    """A hive whose clock stands still, with agents in its database."""
    hive = replace(TestHive(root).inside(), clock=lambda: 1000.0)
    with hive.store.write() as db:
        for name in ("manager", "coder", *OTHERS):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    return hive


def chatter(hive: Hive) -> None:
    """What others say and ask, of the same words and of secret ones; nothing of it to or from the coder."""
    with hive.store.write():
        for name, other in (OTHERS, OTHERS[::-1]):
            messages.send(as_agent(hive, name), other, f"apple {SECRET}")
            messages.send(as_agent(hive, name), "manager", "apple apple pear")
            messages.send(hive, name, "apple")
            questions.ask(as_agent(hive, name), "apple?", to=other)
            questions.ask(as_agent(hive, name), "tangerine?")
            for question in questions.questions(as_agent(hive, name)):
                if question.asker == name:
                    questions.cancel_question(as_agent(hive, name), question.id)


# What the coder does, as its socket takes it.
ACTS: list[tuple[str, dict[str, Any]]] = [
    ("send", {"to": "tester", "body": "an apple a day"}),
    ("send", {"to": "coder", "body": "note to self: apple pie"}),
    ("send", {"to": "*", "body": "apple pear, everybody"}),
    ("send", {"to": "operator", "body": "plum"}),
    ("ask", {"question": "an apple?", "ttl": 60}),
    ("ask", {"question": "a pear?", "to": "tester"}),
    ("ask", {"question": "a plum?", "to": "writer"}),
    ("recv", {"wait": 0}),
    ("recv", {"wait": 0, "limit": 1000}),
    ("nack", {}),
    ("recent", {}),
    *(("search", {"words": words}) for words in ("apple", "apple pear", "tangerine", "t*", "a*", "vault opens", "pie")),
    ("search", {"words": "apple", "limit": 1}),
    ("questions", {}),
    ("questions", {"all": True}),
    *(("answer", {"id": number, "text": "mine?"}) for number in range(8)),
    *(("cancel_question", {"id": number}) for number in range(8)),
    ("recv", {"wait": 0, "limit": 1000}),
]


def transcript(hive: Hive, *, talk: bool, allowed: str) -> list[str]:
    """All that the coder is answered, whether others talk before and between."""
    with hive.store.write() as db:
        db.execute("update agents set allowed_recipients = ? where name = 'coder'", (allowed,))
    coder, answers = as_agent(hive, "coder"), []
    for to in ("coder", "coder"):
        messages.send(hive, to, "apple, says the operator")
    messages.send(as_agent(hive, "tester"), "coder", "pear and apple and apple")
    questions.answer(hive, questions.ask(coder, "first?").id, "yes")
    for verb, arguments in ACTS:
        if talk:
            chatter(hive)
        with hive.store.write() as db:
            db.execute("update messages set sent_at = 0")
        try:
            answers.append(f"{verb} {arguments}: {wire.line(everything()[verb].call(coder, arguments))}")
        except HiveError as error:
            answers.append(f"{verb} {arguments}: {error}")
    return answers


@pytest.mark.parametrize("allowed", ['["*"]', '["tester"]', "[]"])
def test_an_agent_is_answered_the_same_to_the_byte_whether_others_talk_or_not(tmp_path: Path, allowed: str) -> None:
    alone = transcript(made(tmp_path / "alone"), talk=False, allowed=allowed)
    among = transcript(made(tmp_path / "among"), talk=True, allowed=allowed)
    assert among == alone
    assert any('"body":"note to self: apple pie"' in line for line in alone if line.startswith("search"))


def test_what_was_said_before_the_numbers_came_keeps_its_ids_and_is_found(tmp_path: Path) -> None:
    place = TestHive(tmp_path)
    place.home.mkdir()
    old = Store(place.home / "hive.db", dict(list(migrations.STEPS.items())[:2]))
    with old.write() as db:
        said = "insert into messages (sender, recipient, body, sent_at) values (?, ?, ?, 0)"
        for pair in (("tester", "writer"), ("operator", "coder"), ("coder", "tester"), ("coder", "coder")):
            db.execute(said, (*pair, "apple pie"))
        asked = (
            "insert into questions (asker, target, question, options, multi, asked_at) values (?, ?, '?', '[]', 0, 0)"
        )
        for pair in (("tester", "operator"), ("coder", "operator")):
            db.execute(asked, pair)
    old.close()
    coder = as_agent(made(tmp_path), "coder")
    assert sorted(message.id for message in messages.search(coder, "apple").messages) == [2, 3, 4]
    assert len(messages.search(coder.acting_as(THE_OPERATOR), "apple").messages) == 4
    assert [question.id for question in questions.questions(coder)] == [2]
    assert (messages.send(coder, "tester", "next").ids, questions.ask(coder, "next?").id) == ([5], 3)


def test_no_number_of_newer_hits_of_others_hides_ones_own(tmp_path: Path) -> None:
    hive = made(tmp_path)
    messages.send(hive, "coder", "my apple")
    with hive.store.write() as db:
        row = "insert into messages (sender, recipient, body, sent_at) values ('tester', 'writer', 'apple', 0)"
        for _ in range(RANKED + 1):
            db.execute(row)
    assert [found.body for found in messages.search(as_agent(hive, "coder"), "apple").messages] == ["my apple"]
    assert len(messages.search(hive, "my apple").messages) == 1


def test_a_search_never_reads_the_words_of_others(tmp_path: Path) -> None:
    """What is looked up stands under the caller's own key: how long a search takes tells nothing of others either."""
    hive = made(tmp_path)
    chatter(hive)
    asked: list[str] = []
    db = hive.store.connection()
    for name in ("coder", "tester"):
        messages.send(hive, name, "apple")
        db.set_trace_callback(asked.append)
        messages.search(as_agent(hive, name), "apple tang*")
        db.set_trace_callback(None)
    sought = [line for line in asked if "match" in line]
    assert len(sought) == 2
    keys = {row["name"]: row["key"] for row in db.execute("select name, key from readers")}
    for line, name in zip(sought, ("coder", "tester"), strict=True):
        assert f'own match \'"k{keys[name]}zapple" "k{keys[name]}ztang*"\'' in line


def test_others_that_fill_an_inbox_leave_room_in_it(tmp_path: Path) -> None:
    hive = made(tmp_path)
    with hive.store.write() as db:
        row = "insert into messages (sender, recipient, body, sent_at) values (?, 'manager', 'x', 0)"
        for number in range(2000):
            db.execute(row, (OTHERS[number % 2],))
    assert messages.send(as_agent(hive, "coder"), "manager", "room for one").ids == [1]


def test_the_word_of_an_agent_that_it_may_not_write_to_does_not_tell_whether_there_is_one(tmp_path: Path) -> None:
    hive = made(tmp_path)
    with hive.store.write() as db:
        db.execute("update agents set allowed_recipients = '[\"manager\"]' where name = 'coder'")
    said = []
    for name in ("tester", "nobody"):
        for act in (lambda to: messages.send(as_agent(hive, "coder"), to, "x"), _ask(hive)):
            with pytest.raises(HiveError) as refused:
                act(name)
            said.append(str(refused.value).replace(name, "X"))
    assert len(set(said)) == 1


def _ask(hive: Hive) -> Any:
    return lambda to: questions.ask(as_agent(hive, "coder"), "x", to=to)


def test_the_operator_finds_a_message_by_the_number_that_an_agent_knows_it_by(hive: TestHive) -> None:
    inside = made(hive.root)
    chatter(inside)
    got = messages.send(inside, "coder", "for you").ids[0]
    (mine,) = messages.send(as_agent(inside, "coder"), "tester", "by me").ids
    (heard,) = inbox.recv(as_agent(inside, "coder"), 0).messages
    assert (heard.id, mine) == (1, 2)
    assert hive.json("why", str(got))["body"] == "for you"
    assert hive.json("why", "1", "--of", "coder")["id"] == got
    assert hive.json("why", "2", "--of", "coder")["body"] == "by me"
    assert "no message 3 that coder knows" in hive.run("why", "3", "--of", "coder", code=1).stderr


@pytest.mark.remembered
def test_another_agent_of_a_purged_ones_name_finds_nothing_of_it(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    messages.send(as_agent(inside, "coder"), "operator", "tangerine")
    asked = questions.ask(as_agent(inside, "coder"), "tangerine?", ttl=60)
    removal.destroy(inside, "coder", purge=True)
    hive.spawn("coder")
    expire(replace(inside, clock=lambda: asked.asked_at + 61))
    coder = as_agent(inside, "coder")
    assert messages.search(coder, "tangerine").messages == messages.recent(coder).messages == []
    assert questions.questions(coder, all=True) == []
    assert messages.send(coder, "operator", "hello").ids == [1]
    assert [message.body for message in messages.search(inside, "tangerine").messages] == ["tangerine"]
