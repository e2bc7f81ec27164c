"""What the harness says of itself, in memory: who waits for something new is woken by it, and by nothing else."""

from __future__ import annotations

import threading

import pytest

from hive_agent import live
from hive_agent.live import Live
from tests.hives import PATIENCE


def test_a_change_is_news_and_the_same_again_is_not() -> None:
    found = Live()
    before = found.wait(-1, 0)
    found.update(paused=True)
    after = found.wait(before, 0)
    assert after != before
    found.update(paused=True, inbox=[])
    assert found.wait(after, 0) == after
    assert found.snapshot()["paused"] is True
    # That there is a field at all is news, too.
    found.update(gate=None)
    assert found.wait(after, 0) != after


def test_a_state_lasts_from_when_it_began_however_often_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(live.time, "time", lambda: now)
    found = Live()
    found.say("thinking", model="m")
    now += 60
    found.say("thinking", text="still")
    assert found.snapshot() | {"inbox": []} == {
        "state": "thinking",
        "since": 100.0,
        "text": "still",
        "until": None,
        "model": "m",
        "inbox": [],
        "paused": False,
        "login": None,
    }
    found.say("rate_limited", until=500)
    assert (found.snapshot()["since"], found.snapshot()["until"], found.snapshot()["text"]) == (160.0, 500, None)


def test_who_waits_is_woken_by_a_change_and_by_something_new_in_the_record() -> None:
    found = Live()
    for wake in (found.poke, lambda: found.update(state="idle")):
        version = found.wait(-1, 0)
        woken: list[int] = []
        waiting = threading.Thread(target=lambda: woken.append(found.wait(version, PATIENCE)))  # noqa: B023
        waiting.start()
        wake()
        waiting.join(PATIENCE)
        assert woken == [version + 1]


def test_what_was_shown_once_does_not_change_under_its_reader() -> None:
    found = Live()
    shown = found.snapshot()
    found.say("thinking")
    assert shown["state"] == "starting"
