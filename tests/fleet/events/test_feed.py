"""The feed: for a program every event as it is, for a person nothing twice."""

from __future__ import annotations

import pytest

from hive_core.events import Event
from hive_fleet.events.feed import after, lines
from hive_fleet.events.sentences import Tone
from hive_fleet.messages.messages import post
from tests.fleet.events.happened import event
from tests.hives import TestHive


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


@pytest.mark.parametrize(
    ("happened", "tone"),
    [(event("container_crash"), Tone.ALARM), (event("approval_added"), Tone.WANTED)],
)
def test_a_line_has_the_tone_of_what_its_event_matters(happened: Event, tone: Tone) -> None:
    assert next(lines(each for each in [happened])).tone == tone


def test_a_long_history_is_read_whole_and_in_order(hive: TestHive) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        for number in range(250):
            post(db, "system", "manager", str(number))
    found = list(after(inside, 0, ["sent"]))
    assert [event.data["body"] for event in found] == list(map(str, range(250)))
    assert list(after(inside, found[-2].seq, [])) == found[-1:]
