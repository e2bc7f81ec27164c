"""Looking at agents: never while others wait for a change, at no more than is asked for, and taken back when overtaken."""

from __future__ import annotations

import json
import sys

import pytest

from hive_core import progress
from hive_core.errors import NotFound
from hive_faces.verbs import everything
from hive_fleet.agents import last_seen
from hive_fleet.agents.observation import observe, overtaken
from hive_fleet.changes.running import STOPPING
from tests.hives import CHECKOUT, TestHive, at_work

# What is not among them, and why.
ENDLESS = {
    **dict.fromkeys(("up", "gate", "page", "mcp", "agent"), "serves others without an end"),
    **dict.fromkeys(("attach", "open", "nudge"), "asks the page of a harness that runs"),
    "login": "needs a person at a terminal",
}


def test_no_operation_opens_starts_or_locks_anything_of_an_agents_inside_a_change(hive: TestHive) -> None:
    script = CHECKOUT / "tests" / "cmds" / "auditing.py"
    hive.extra["PYTHONPATH"] = str(CHECKOUT)
    told = json.loads(hive.run(program=[sys.executable, str(script)]).stdout.splitlines()[-1])
    assert set(everything()) - set(told["ran"]) == ENDLESS.keys()
    assert told["found"] == []
    assert told["forgotten"] == []


def test_an_observation_is_overtaken_by_an_operation_that_began_or_ended_since(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    inside = hive.inside()
    before = observe(inside)
    with inside.store.read() as db:
        assert overtaken(db, before) == set()
    hive.run("restart", "coder")
    with inside.store.read() as db:
        assert overtaken(db, before) == {"coder"}
        assert overtaken(db, observe(inside)) == set()


def test_what_is_shown_is_looked_at_again_when_an_operation_overtakes_the_look(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    looks = []
    real = inside.host.container

    def container(name: str) -> object:
        looks.append(name)
        seen = real(name)
        if len(looks) == 1:
            hive.run("stop", "coder")
        return seen

    object.__setattr__(inside.host, "container", container)
    with last_seen.showing(inside, "coder") as db:
        db.execute("update agents set paused = 1")
    assert len(looks) == 2
    shown = hive.events("container_state_changed")[-1]["container"]
    assert (shown["running"], shown["paused"]) == (False, True)


def test_a_change_of_who_is_not_there_is_no_change(hive: TestHive) -> None:
    inside = hive.inside()
    with pytest.raises(NotFound), last_seen.showing(inside, "nobody") as db:
        from hive_fleet.agents import table

        table.one(db, "nobody")


def test_an_operation_ends_once(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with at_work(inside, "coder", STOPPING):
        progress.clear(inside, "coder")
    assert [event["kind"] for event in hive.events("transient_set", "transient_cleared")][-2:] == [
        "transient_set",
        "transient_cleared",
    ]
