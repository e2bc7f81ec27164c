"""A sentence for each kind of event, nothing in it of an agent's that could deceive, and what each matters."""

from __future__ import annotations

from typing import Any

import pytest

from hive_core.event_kinds import EVENT_KINDS
from hive_core.events import Event
from hive_fleet.events.sentences import SENTENCES, Tone, sentence, tone_of
from tests.fleet.events.happened import ANY, event


def test_every_kind_of_event_has_its_sentence() -> None:
    assert SENTENCES.keys() == EVENT_KINDS.keys()


@pytest.mark.parametrize("kind", EVENT_KINDS)
def test_a_sentence_is_one_printable_line_whatever_an_agent_wrote(kind: str) -> None:
    evil = "\x1b[2J\u202eline\nbreak " + "x" * 5000
    hostile: dict[str, Any] = {name: evil for name in EVENT_KINDS[kind].fields if name not in ANY}
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
            "commit abc asked for (`hive show 4`): why",
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


@pytest.mark.parametrize(
    ("happened", "matters"),
    [
        (event("container_crash"), Tone.ALARM),
        (event("container_state_changed", container={"running": False, "failed": True}), Tone.ALARM),
        (event("container_state_changed", container={"running": False, "failed": False}), Tone.ROUTINE),
        (event("container_state_changed", container={"running": True}), Tone.ROUTINE),
        (event("rebuilt", ok=False, note="no"), Tone.ALARM),
        (event("rebuilt", ok=True), Tone.ROUTINE),
        (event("approval_added"), Tone.WANTED),
        (event("approval_resolved", status="failed"), Tone.ALARM),
        (event("approval_resolved", status="denied"), Tone.SAID),
        (event("question_added", target="operator"), Tone.WANTED),
        (event("question_added", target="tester"), Tone.SAID),
        (event("sent", **{"from": "coder", "to": "operator"}), Tone.WANTED),
        (event("sent", **{"from": "coder", "to": "tester"}), Tone.SAID),
        (event("transient_set"), Tone.ROUTINE),
    ],
)
def test_what_an_event_matters_is_decided_by_what_has_happened_not_by_its_kind(happened: Event, matters: Tone) -> None:
    assert tone_of(happened) is matters
