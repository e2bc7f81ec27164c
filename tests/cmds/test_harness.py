"""What the operator sets for an agent's next turn, and for whom that means nothing."""

from __future__ import annotations

import re

import pytest

from hive_cmds.harness import set_status
from hive_core.caller import Identity, Role
from tests.hives import TestHive

pytestmark = pytest.mark.remembered
MODELLED = "update agents set runner = 'claude'"


def test_an_agent_that_runs_a_command_has_no_model_to_choose(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "coder runs a command of its own: it has no model." in hive.run("model", "coder", "x", code=1).stderr
    with hive.inside().store.write() as db:
        db.execute(MODELLED)
    assert hive.run("model", "coder", "x").stderr == "the next turn of coder runs with x\n"
    assert "with what its configuration says" in hive.run("model", "coder", "default").stderr


def test_who_pauses_an_agent_that_runs_a_command_is_told_how_to_stop_it(hive: TestHive) -> None:
    hive.spawn("coder")
    done = hive.run("pause", "coder")
    assert "`hive stop coder` stops it" in done.stderr
    assert hive.agent("coder")["paused"] is True
    with hive.inside().store.write() as db:
        db.execute(MODELLED)
    assert hive.run("pause", "coder").stderr == ""


def test_the_list_says_what_keeps_an_idle_agent_from_its_work(hive: TestHive) -> None:
    hive.spawn("coder")
    coder = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    set_status(coder, "idle", text="a turn failed, next try in 5 s: \x1b[31mit is broken " + "x" * 150)
    line = hive.run("list").stdout
    assert "a turn failed, next try in 5 s: \\x1b[31mit" in line
    assert "x" * 60 not in line
    set_status(coder, "thinking", text="on a message from operator")
    assert "on a message" not in hive.run("list").stdout
    set_status(coder, "idle")
    assert "thinking" not in hive.run("list").stdout


def test_what_was_said_before_a_change_is_not_shown_after_it(hive: TestHive) -> None:
    hive.spawn("coder")
    coder = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    hive.run("pause", "coder")
    set_status(coder, "idle", text="paused", model="m1")
    assert "paused" not in hive.run("resume", "coder").stdout
    with hive.inside().store.write() as db:
        db.execute(MODELLED)
    assert hive.agent("coder")["active_model"] == "m1"
    hive.run("model", "coder", "m2")
    hive.run("model", "coder", "default")
    assert "active_model" not in hive.agent("coder")
    assert "has no spaces" in hive.run("model", "coder", "a b", code=2).stderr
    set_status(coder, "idle", text="something is missing")
    assert "missing" not in hive.run("restart", "coder").stdout


def test_the_list_says_until_when_a_limit_lasts(hive: TestHive) -> None:
    hive.spawn("coder")
    set_status(hive.inside().acting_as(Identity(Role.AGENT, "coder")), "rate_limited", until=4_000_000_000)
    assert re.search(r"rate limited until \d\d:\d\d:\d\d", hive.run("list").stdout)
