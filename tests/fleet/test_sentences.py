"""Events as a person reads them: a sentence for each kind, nothing twice, and nothing of an agent's that could deceive."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hive_core.events import KINDS, Event
from hive_fleet.events.sentences import SENTENCES, Weight, lines, sentence, weight
from hive_fleet.messages.messages import post
from tests.hives import TestHive, interrupt, line_of

# What each field may be where a test does not care.
ANY = {"options": ["a", "b"], "tombstones": [], "inputs": [], "container": {"running": True}, "cancelled": False}


def event(kind: str, **data: Any) -> Event:
    """An event with every field that its kind always carries."""
    given = {name: ANY.get(name, "coder") for name in KINDS[kind]} | data
    return Event(7, 1_700_000_000.5, kind, "coder", given)


def test_every_kind_of_event_has_its_sentence() -> None:
    assert SENTENCES.keys() == KINDS.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_a_sentence_is_one_printable_line_whatever_an_agent_wrote(kind: str) -> None:
    evil = "\x1b[2J\u202eline\nbreak " + "x" * 5000
    hostile: dict[str, Any] = {name: evil for name in KINDS[kind] if name not in ANY}
    said = sentence(event(kind, **hostile | {"description": evil, "note": evil, "options": [evil] * 20}))
    assert said is None or said.isprintable()


@pytest.mark.parametrize(
    ("happened", "said"),
    [
        (event("sent", **{"from": "coder", "to": "operator", "body": "done\nnow"}), "message from coder: done now"),
        (event("sent", **{"from": "system", "to": "manager", "body": "{}"}), None),
        (event("approval_added", id=4, approval_kind="spawn"), "asked for (`hive approve 4`)"),
        (
            event("approval_added", id=4, approval_kind="apply_commit", sha_short="abc", description="why"),
            "asks for abc (`hive show 4`): why",
        ),
        (event("approval_resolved", id=4, status="denied", note="too broad"), "request 4 denied: too broad"),
        (event("question_added", id=2, question="Which?"), "question 2 (`hive answer 2 TEXT`): Which? [a / b]"),
        (event("question_resolved", id=2, answer="a", answerer="operator"), "question 2 answered by operator: a"),
        (event("question_resolved", id=2, answer="[expired]", answerer="system"), "question 2 expired"),
        (event("question_resolved", id=2, answerer="operator", cancelled=True), "question 2 cancelled by operator"),
        (event("transient_set", transient_kind="spawning"), "spawning…"),
        (event("spawned", sha="0123456789abcdef"), "made at 0123456789ab"),
        (event("container_state_changed", container={"running": True, "turn": "idle"}), "running"),
        (
            event("container_state_changed", container={"running": True, "turn": "rate_limited", "paused": True}),
            "running, rate limited, paused",
        ),
        (event("container_state_changed", container={"running": False, "failed": False}), "stopped"),
        (event("container_state_changed", container={"running": False, "failed": True}), "failed"),
        (event("container_state_changed", container={"running": False, "crash_loop": True}), "crash loop"),
        (event("container_crash", cause="SIGKILL"), "crashed: SIGKILL (`hive journal coder`)"),
        (event("destroyed", note="purged"), "destroyed and purged"),
        (event("killed", note="stopped"), "stopped"),
        (event("meta_inputs_changed"), None),
    ],
)
def test_what_is_said_of_an_event(happened: Event, said: str | None) -> None:
    assert sentence(happened) == said


def test_how_an_agent_is_is_said_once_until_it_changes() -> None:
    running, stopped = ({"running": True}, {"running": False})
    happened = [
        event("container_state_changed", container=running),
        event("container_state_changed", container=running | {"status_text": "thinking about it"}),
        event("container_state_changed", container=stopped),
        event("killed", note="stopped"),
        event("container_state_changed", container=running),
    ]
    assert [line.said for line in lines(each for each in happened)] == ["running", None, "stopped", None, "running"]


def test_a_program_gets_every_event_as_it_is() -> None:
    happened = [event("delivered"), event("sent")]
    assert [line.wire() for line in lines(each for each in happened)] == [each.wire() for each in happened]


def test_who_asks_for_a_kind_is_told_something_of_each() -> None:
    told = [line.text() or "" for line in lines((event("delivered") for _ in range(2)), whole=True)]
    assert all("delivered" in text for text in told)


def test_events_are_sentences_for_a_person_and_json_for_a_program(hive: TestHive) -> None:
    hive.spawn("coder")
    shown = hive.run("events", "--since", "0").stdout
    assert any(line.split()[-2:] == ["coder", "running"] for line in shown.splitlines())
    assert "transient" not in shown
    rows = [json.loads(line) for line in hive.run("events", "--since", "0", "--json").stdout.splitlines()]
    assert {"transient_set", "transient_cleared", "container_state_changed"} <= {row["kind"] for row in rows}
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))


def test_up_says_what_happens_in_sentences(hive: TestHive) -> None:
    up = hive.start("up")
    assert line_of(up).split()[1:] == ["manager", "spawning…"]
    assert interrupt(up) == 130


@pytest.mark.parametrize(
    ("happened", "matters"),
    [
        (event("container_crash"), Weight.ALARM),
        (event("container_state_changed", container={"running": False, "failed": True}), Weight.ALARM),
        (event("container_state_changed", container={"running": False, "failed": False}), Weight.ROUTINE),
        (event("container_state_changed", container={"running": True}), Weight.ROUTINE),
        (event("rebuilt", ok=False, note="no"), Weight.ALARM),
        (event("rebuilt", ok=True), Weight.ROUTINE),
        (event("approval_added"), Weight.WANTED),
        (event("approval_resolved", status="failed"), Weight.ALARM),
        (event("approval_resolved", status="denied"), Weight.SAID),
        (event("question_added", target="operator"), Weight.WANTED),
        (event("question_added", target="tester"), Weight.SAID),
        (event("sent", **{"from": "coder", "to": "operator"}), Weight.WANTED),
        (event("sent", **{"from": "coder", "to": "tester"}), Weight.SAID),
        (event("transient_set"), Weight.ROUTINE),
    ],
)
def test_what_an_event_matters_is_decided_by_what_has_happened_not_by_its_kind(
    happened: Event, matters: Weight
) -> None:
    assert weight(happened) is matters
    assert next(lines(each for each in [happened])).tone == matters


def test_a_person_is_shown_what_was_said_however_much_the_system_tells(hive: TestHive) -> None:
    inside = hive.inside()
    hive.run("send", "operator", "of a person")
    with inside.store.write() as db:
        for number in range(100):
            post(db, "system", "manager", str(number))
    assert "of a person" in hive.run("events").stdout
    told = hive.run("events", "--system").stdout.splitlines()
    assert (len(told), "of a person" in told[0]) == (50, False)
    assert len(hive.run("events", "--json", "--since", "0").stdout.splitlines()) == 101
