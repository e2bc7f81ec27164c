"""The watch: what two looks conclude, and what a running one tells of real agents."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import replace

import pytest

from hive_cmds.look import Seen
from hive_cmds.watch import Verdict, transitions
from tests.hives import TestHive, eventually, interrupt, line_of

UP = Seen(running=True, instance="1", logged_in=True, up_to_date=True)
DOWN = replace(UP, running=False, instance=None, cause="SIGKILL")


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        (UP, UP, []),
        (UP, DOWN, ["container_crash"]),
        (UP, replace(DOWN, busy=True), []),
        (UP, replace(DOWN, wanted=False), []),
        (UP, replace(UP, instance="2"), ["container_crash"]),
        (UP, replace(UP, instance="2", busy=True), []),
        (DOWN, UP, []),
        (DOWN, DOWN, []),
        (UP, replace(UP, logged_in=False), ["needs_login"]),
        (replace(UP, logged_in=False), UP, ["logged_in"]),
        (UP, replace(UP, up_to_date=False), ["needs_update"]),
        (replace(UP, up_to_date=False), UP, []),
        (UP, replace(DOWN, logged_in=False, up_to_date=False), ["container_crash", "needs_login", "needs_update"]),
    ],
)
def test_what_two_looks_conclude(before: Seen, now: Seen, kinds: list[str]) -> None:
    assert [verdict.kind for verdict in transitions({"a": before}, {"a": now})] == kinds


def test_an_agent_that_is_new_in_the_picture_or_gone_from_it_concludes_nothing() -> None:
    assert transitions({}, {"a": DOWN}) == []
    assert transitions({"a": UP}, {}) == []


def test_a_crash_names_its_cause() -> None:
    assert transitions({"a": UP}, {"a": DOWN}) == [Verdict("container_crash", "a", {"cause": "SIGKILL"})]


def program(hive: TestHive, name: str) -> int:
    """A process of the agent's own, below its supervisor."""
    pid = hive.pid(name)

    def children(parent: int) -> list[int]:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(word) for word in file.read().split()]

    while below := children(pid):
        pid = below[0]
    return pid


def test_a_kill_is_told_at_once_with_its_cause_and_last_lines_and_the_list_is_true(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.start("watch", "--interval", "3600")
    follow = hive.start("events", "--follow", "--kind", "container_crash", "--json")
    eventually(lambda: "watch is busy" in hive.start("watch", "--once").communicate()[1])
    eventually(lambda: "ready" in hive.run("journal", "coder").stdout)
    os.kill(program(hive, "coder"), signal.SIGKILL)
    event = json.loads(line_of(follow))
    assert (event["kind"], event["agent"], event["cause"]) == ("container_crash", "coder", "SIGKILL")
    assert "ready" in event["journal"]
    row = hive.agent("coder")
    assert (row["running"], row["failed"], row["cause"]) == (False, True, "SIGKILL")
    told = hive.inside().store.connection().execute("select body from messages where recipient = 'manager'").fetchall()
    assert any(json.loads(row[0])["event"] == "container_crash" for row in told)


@pytest.mark.parametrize("action", [["stop", "coder"], ["restart", "coder"], ["kill", "coder"], ["rebuild", "coder"]])
def test_what_an_operation_ends_is_no_crash(hive: TestHive, action: list[str]) -> None:
    hive.spawn("coder")
    hive.run("watch", "--once")
    hive.run(*action)
    hive.run("watch", "--once")
    assert hive.run("events", "--since", "0", "--kind", "container_crash").stdout == ""


def test_a_look_by_a_timer_compares_with_the_look_before(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("watch", "--once")
    pid = hive.pid("coder")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    assert "container_crash" in hive.run("watch", "--once").stdout
    assert "container_crash" not in hive.run("watch", "--once").stdout


def test_the_first_look_of_a_long_watch_concludes_nothing(hive: TestHive) -> None:
    hive.spawn("coder")
    pid = hive.pid("coder")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    watch = hive.start("watch", "--interval", "1", "--json")
    assert json.loads(line_of(watch))["kind"] == "container_state_changed"
    assert interrupt(watch) == 130
    assert hive.run("events", "--since", "0", "--kind", "container_crash").stdout == ""
