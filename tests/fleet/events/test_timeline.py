"""An agent's timeline: how it was from when on, and what happened to it, told by the history alone."""

from __future__ import annotations

import pytest

from hive_core.context import Hive
from hive_core.events import emit
from hive_fleet.events.timeline import condition, marks, phases
from tests.hives import PLAIN, TestHive


def told(hive: Hive, *rows: dict[str, object]) -> None:
    for row in rows:
        with hive.store.write() as db:
            emit(db, "container_state_changed", about="coder", container={"name": "coder", **row})


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ({"running": True, "turn": "idle"}, "running"),
        ({"running": True, "turn": "thinking"}, "turn"),
        ({"running": True, "turn": "needs_login"}, "held_up"),
        ({"running": True, "turn": None, "paused": True}, "held_up"),
        ({"running": False, "failed": True}, "failed"),
        ({"running": False}, "stopped"),
    ],
)
def test_how_an_agent_is_has_one_word(row: dict[str, object], word: str) -> None:
    assert condition(row) == word


def test_what_is_the_same_as_before_is_no_new_phase_and_what_came_before_the_time_is_its_first(hive: TestHive) -> None:
    inside = hive.inside()
    told(
        inside,
        {"running": False},
        {"running": True},
        {"running": True, "turn": "idle"},
        {"running": True, "turn": "thinking"},
    )
    with inside.store.write() as db:
        db.execute("update events set at = seq * 100")
        emit(db, "container_removed", name="coder")
    with inside.store.read() as db:
        assert [(phase.at, phase.state) for phase in phases(db, "coder", 150)][:3] == [
            (100, "stopped"),
            (200, "running"),
            (400, "turn"),
        ]
        assert phases(db, "coder", 450)[0].state == "turn"
        assert phases(db, "coder", 0)[-1].state == "absent"
        assert phases(db, "tester", 0) == []


@pytest.mark.remembered
def test_a_timeline_has_the_crashes_and_what_was_decided(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("deny", str(hive.request("coder", PLAIN + "# more\n")), "--note", "too much")
    inside = hive.inside()
    with inside.store.write() as db:
        emit(db, "container_crash", agent="coder", cause="exit code 3", reason="exit", lately=1)
    with inside.store.read() as db:
        found = [(mark.kind, mark.id) for mark in marks(db, "coder", 0)]
        assert found[-2:] == [("approval_resolved", 2), ("container_crash", None)]
        assert marks(db, "coder", 2e12) == []
    shown = hive.asked("timeline", name="coder")
    assert (shown["until"] - shown["since"], shown["phases"][-1]["state"]) == (24 * 3600, "running")
    assert "exit code 3" in hive.run("timeline", "coder", "--hours", "1").stdout


@pytest.mark.remembered
def test_the_configuration_that_is_shown_is_the_deployed_one(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.propose("coder", PLAIN + "# not yet\n", files={"agent.nix": "{ }\n"})
    assert [file["path"] for file in hive.asked("configuration", name="coder")["files"]] == ["agent.toml"]
    hive.run("approve", str(hive.request("coder", PLAIN + "# now\n")))
    shown = hive.asked("configuration", name="coder")
    assert (len(shown["sha"]), [file["path"] for file in shown["files"]]) == (40, ["agent.toml", "agent.nix"])
    assert "# now" in hive.run("configuration", "coder").stdout
