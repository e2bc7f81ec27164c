"""Operations in steps: each is told and shown as it begins, and what was killed at one is mended and says at which."""

from __future__ import annotations

import signal
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from hive_core import progress
from hive_core.changes import Change, InProgress
from hive_core.errors import Refused
from hive_fleet.agents import status
from hive_fleet.changes import adoptions, deploys, rebuilds, removals, running, spawns
from hive_fleet.changes.running import RESTARTING
from tests.cmds.test_lost_database import unlink
from tests.hives import PLAIN, TestHive, at_work

pytestmark = pytest.mark.remembered
SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo new; exec sleep infinity"]\n'


def killed_at(hive: TestHive, step: str, *command: str) -> None:
    """Run a command that is killed as its operation comes to a step."""
    done = hive.forked(*command, kill_at_step=step)
    assert done.returncode == -signal.SIGKILL, done.stderr


def told(hive: TestHive, after: int) -> list[tuple[str, str]]:
    """The steps that were told of, each with its state."""
    return [(row["step"], row["state"]) for row in hive.events("operation_step") if row["seq"] > after]


def one_after_the_other(*names: str) -> list[tuple[str, str]]:
    """What is told of steps that come to their end without one being left out."""
    between = [pair for old, new in pairwise(names) for pair in ((old, "done"), (new, "doing"))]
    return [(names[0], "doing"), *between, (names[-1], "done")]


def newest(hive: TestHive) -> int:
    return int(hive.events()[-1]["seq"])


def test_every_step_of_an_operation_is_told_as_it_begins_and_ends(hive: TestHive) -> None:
    hive.spawn("coder")
    assert told(hive, 0) == one_after_the_other(*spawns.SPAWN.steps)
    for command, change in (
        (["approve", str(hive.request("coder", SAY))], deploys.DEPLOY),
        (["rebuild", "coder"], rebuilds.REBUILD),
        (["restart", "coder"], running.RESTARTING),
        (["destroy", "coder", "--purge", "--yes"], removals.DESTROY),
    ):
        before = newest(hive)
        hive.run(*command)
        assert told(hive, before) == one_after_the_other(*change.steps), command
    row = hive.events("operation_step")[-1]
    assert row.keys() == {"seq", "kind", "at", "name", "transient_kind", "step", "state"}
    assert (row["name"], row["transient_kind"]) == ("coder", "destroying")


def test_steps_that_are_not_needed_are_told_as_skipped(hive: TestHive) -> None:
    hive.spawn("coder")
    unlink(hive)
    hive.run("adopt")
    assert told(hive, 0) == [
        ("preparing", "doing"), ("preparing", "done"), ("building", "skipped"), ("switching", "skipped"),
        ("recording", "doing"), ("recording", "done"),
    ]  # fmt: skip
    assert adoptions.ADOPT.steps == ("preparing", "building", "switching", "recording")


def spawned(hive: TestHive) -> list[str]:
    hive.configure("coder", PLAIN)
    return ["approve", str(hive.json("request-spawn", "coder")["id"])]


def deployed(hive: TestHive) -> list[str]:
    hive.spawn("coder")
    return ["approve", str(hive.request("coder", SAY))]


def having(*command: str) -> Callable[[TestHive], list[str]]:
    def begin(hive: TestHive) -> list[str]:
        hive.spawn("coder")
        return list(command)

    return begin


# Change -> what begins it, and what becomes of it for each step that it is killed at.
KILLS: dict[str, tuple[Change, Callable[[TestHive], list[str]], list[str]]] = {
    "spawn": (spawns.SPAWN, spawned, ["undone"] * 4),
    "deploy": (deploys.DEPLOY, deployed, ["pending"] * 4 + ["approved"]),
    "rebuild": (rebuilds.REBUILD, having("rebuild", "coder"), ["agreed", "rebuilt", "rebuilt"]),
    "restart": (running.RESTARTING, having("restart", "coder"), ["agreed"] * 2),
    "destroy": (removals.DESTROY, having("destroy", "coder", "--purge", "--yes"), ["destroyed"] * 3),
}


@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, (change, _, _) in KILLS.items() for place in range(len(change.steps))]
)
def test_what_was_killed_at_a_step_shows_it_and_its_recovery_says_it(hive: TestHive, name: str, place: int) -> None:
    change, begin, outcomes = KILLS[name]
    killed_at(hive, change.steps[place], *begin(hive))
    inside = hive.inside()
    with inside.store.read() as db:
        left = progress.all_in_progress(db)["coder"]
    assert [step.state for step in left.steps] == [
        "done" if at < place else "doing" if at == place else "waiting" for at in range(len(change.steps))
    ]
    assert f"it has died while {change.steps[place]}" in hive.run("list").stderr
    (recovered,) = hive.events("recovered")
    assert (recovered["step"], recovered["outcome"]) == (change.steps[place], outcomes[place])
    assert told(hive, 0)[-1] == (change.steps[place], "failed")
    with inside.store.read() as db:
        assert progress.all_in_progress(db) == {}


def test_a_list_shows_the_step_that_an_operation_is_at_and_json_every_one(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with at_work(inside, "coder", RESTARTING, ran=True):
        assert status.of(inside, "coder").state == "restarting · stopping"
        progress.reach(inside, "coder", "starting")
        assert "restarting · starting" in hive.run("list").stdout
        row: dict[str, Any] = hive.agent("coder")
        assert (row["operation"], row["operation_step"]) == ("restarting", "starting")
        assert [(step["step"], step["state"]) for step in row["operation_steps"]] == [
            ("stopping", "done"),
            ("starting", "doing"),
        ]
    assert not hive.agent("coder").keys() & {"operation", "operation_step", "operation_steps"}


def test_what_is_being_mended_is_shown_with_the_step_that_it_was_cut_off_at(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    hive.spawn("coder")
    inside, seen = hive.inside(), []

    def mending(hive: Any, _left: InProgress) -> str:
        seen.append(status.of(hive, "coder").state)
        progress.reach(hive, "coder", "starting")
        seen.append(status.of(hive, "coder").state)
        return "mended"

    monkeypatch.setattr(running, "RESTARTING", RESTARTING._replace(recover=mending))
    with pytest.raises(Refused, match="not now"), at_work(inside, "coder", running.RESTARTING):
        raise Refused("It is not to be: not now.")
    assert seen == ["restarting · mending after stopping"] * 2
