"""`hive history` and `hive status`: what was decided about an agent and happened to it, and why it is as it is."""

from __future__ import annotations

import re
from contextlib import closing

import pytest

from hive_core.containers.memory import MemoryHost
from hive_fleet.watching.rounds import tick
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered


def crash(hive: TestHive, code: int) -> None:
    """Have the coder end by itself, and a look find that."""
    inside = hive.inside()
    with closing(inside.store):
        MemoryHost(inside.settings).finish("coder", code)
        tick(inside, seed=False)


@pytest.fixture
def lived(hive: TestHive) -> TestHive:
    """An agent that has been through something."""
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", PLAIN + "# two\n")))
    hive.run("deny", str(hive.request("coder", PLAIN + "# three\n")), "--note", "not that")
    hive.run("stop", "coder")
    hive.run("start", "coder")
    hive.run("watch", "--once")
    crash(hive, 3)
    return hive


def said(hive: TestHive, *arguments: str) -> list[str]:
    shown = hive.run("history", "coder", *arguments).stdout
    return [re.sub(r"[0-9a-f]{12}", "SHA", line[10:]) for line in shown.splitlines()]


STORY = [
    "request 2: SHA asked for by operator",
    "request 2 approved, deployed SHA",
    "request 3: SHA asked for by operator",
    "request 3 denied: not that",
    "stopped",
    "started",
    "crashed: exit code 3 (`hive journal coder`)",
]


def test_everything_is_told_in_its_order_a_line_each(lived: TestHive) -> None:
    found = said(lived)
    assert [line for line in found if line in STORY] == STORY
    assert found[0] == "request 1: asked for by operator"
    rows = lived.json("history", "coder")
    assert {row["kind"] for row in rows} == {
        *("requested", "approved", "denied", "spawned", "rebuilt", "started", "killed", "container_crash"),
    }
    assert said(lived, "--lines", "2") == STORY[-2:]


def test_what_a_database_has_lost_is_told_by_gits_tags(lived: TestHive) -> None:
    with lived.inside().store.write() as db:
        db.execute("delete from approvals")
        db.execute("delete from events")
    assert said(lived) == [
        "request 2: SHA asked for, as its tag tells",
        "request 2 approved, deployed SHA",
        "request 3: SHA asked for, as its tag tells",
        "request 3 denied: not that",
    ]


def test_a_destroyed_agents_is_there_and_nobodys_is_not(lived: TestHive) -> None:
    lived.run("destroy", "coder", "--yes")
    assert said(lived)[-1] == "destroyed"
    assert "no agent 'nobody'" in lived.run("history", "nobody", code=1).stderr


def test_one_that_crashed_says_why_how_often_and_what_helps(lived: TestHive) -> None:
    MemoryHost(lived.inside().settings).write("coder", "the last words")
    shown = lived.run("status", "coder").stdout
    assert "coder: failed (exit code 3)" in shown
    assert "1 crash: exit code 3, the last 0 s ago" in shown
    assert "the last words" in shown
    assert "`hive start coder` starts it" in shown
    row = lived.json("status", "coder")
    assert (row["name"], row["end"]["reason"], row["end"]["code"]) == ("coder", "exit", 3)
    assert [each["cause"] for each in row["crashes"]] == ["exit code 3"]
    lived.run("start", "coder")
    assert "end" not in lived.json("status", "coder")
    lived.run("stop", "coder")
    assert lived.json("status", "coder")["end"]["reason"] == "asked_for"
    assert "ended 0 s ago: asked for (stopped)" in lived.run("status", "coder").stdout


def test_words_of_other_programs_lead_somewhere(lived: TestHive) -> None:
    listed = lived.run("list").stdout
    assert lived.run("ps").stdout == lived.run("status").stdout == listed
    assert lived.json("status") == lived.json("list")
    assert lived.run("version").stdout == lived.run("--version").stdout


def test_the_list_says_when_nobody_watches(hive: TestHive) -> None:
    assert "nobody watches" not in hive.run("list").stderr
    hive.spawn("coder")
    assert "nobody watches" in hive.run("list").stderr
    hive.run("watch", "--once")
    assert "nobody watches" not in hive.run("list").stderr
