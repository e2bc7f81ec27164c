"""Stale: built with another hive than there is now; said when that moves, not while somebody is at mending it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hive_agent import MANAGER
from hive_fleet.flake import flake, staleness
from tests.hives import TestHive, eventually

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
BROKEN = 'runner = "nonsense"\n'


@pytest.fixture
def two(hive: TestHive) -> TestHive:
    """A hive with two agents, built from a repository that a test may commit to."""
    folder = hive.root / "base"
    folder.mkdir()
    hive.git(str(folder), "init", "-q", "-b", "main")
    hive.extra["HIVE_FLAKE"] = flake.local_url(folder, "ref", "main")
    newer(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    return hive


def newer(hive: TestHive) -> None:
    """A commit to what hive is built from, as a pull brings one."""
    hive.git(str(hive.root / "base"), "commit", "-q", "--allow-empty", "-m", "newer")


def stale(hive: TestHive) -> list[str]:
    return [row["name"] for row in hive.json("list") if row["needs_update"]]


def told(hive: TestHive, event: str) -> list[dict[str, Any]]:
    messages = [json.loads(body) for body in hive.inbox(MANAGER) if body.startswith("{")]
    return [message for message in messages if message["event"] == event]


def spoil(hive: TestHive, name: str) -> None:
    """Have the next rebuild of an agent fail: what lies in its repository, past hive, cannot be built."""
    (hive.home / "applied" / name / "agent.toml").write_text(BROKEN)
    hive.git(f"applied/{name}", "commit", "-qam", "past hive")


def finding(hive: TestHive) -> dict[str, Any]:
    rows: list[dict[str, Any]] = json.loads(hive.run("doctor", "--json").stdout)
    return next(row for row in rows if row["check"] == "hive")


def test_who_was_built_with_another_hive_is_stale_as_soon_as_there_is_one(two: TestHive) -> None:
    assert stale(two) == []
    assert finding(two)["ok"] is True
    two.run("watch", "--once")
    newer(two)
    assert stale(two) == ["coder", "tester"]
    assert "`hive update --stale` rebuilds them" in two.run("list").stderr
    assert "coder, tester were built with another hive" in finding(two)["detail"]
    two.run("watch", "--once")
    assert [event["agent"] for event in two.events("needs_update")] == ["coder", "tester"]
    assert two.run("events", "--since", "0", "--kind", "needs_update").stdout.count("`hive update --stale`") == 2
    two.run("update", "--stale")
    assert stale(two) == []
    assert "update" not in two.run("list").stderr


def test_what_is_rebuilt_alone_is_as_stale_as_before(two: TestHive) -> None:
    newer(two)
    two.run("rebuild", "coder")
    assert stale(two) == ["coder", "tester"]


def test_a_hive_that_cannot_be_looked_up_makes_nobody_stale(two: TestHive) -> None:
    (two.root / "base").rename(two.root / "elsewhere")
    assert stale(two) == []
    two.extra["HIVE_FLAKE"] = "github:nobody/hive"
    assert stale(two) == []


@RUNNING
def test_nobody_is_told_of_as_stale_whom_a_fan_out_is_going_to_rebuild(two: TestHive) -> None:
    """The first one's rebuild waits for its old program to end; the second one's turn comes after that."""
    pipe = two.home / "agents" / "coder" / "state" / "end"
    os.mkfifo(pipe)
    pipe.chmod(0o666)
    script = "trap 'read -r line </state/end; exit' TERM; echo ready; while :; do sleep 1000 & wait; done"
    slow = f'runner = "command"\nsettle_seconds = 0\ncommand = ["sh", "-c", "{script}"]\n'
    two.run("approve", str(two.request("coder", slow)))
    two.run("watch", "--once")
    newer(two)
    process = two.start("update", "--stale")
    eventually(lambda: two.agent("coder").get("operation") == "rebuilding")
    two.run("watch", "--once")
    assert (stale(two), two.events("needs_update")) == ([], [])
    pipe.write_text("end\n")
    process.communicate()
    two.run("watch", "--once")
    assert (process.returncode, stale(two), two.events("needs_update")) == (0, [], [])


def test_a_fan_out_that_was_killed_hides_nobody(two: TestHive) -> None:
    newer(two)
    dead = subprocess.Popen(["sleep", "1000"])
    started = Path(f"/proc/{dead.pid}/stat").read_text().rpartition(")")[2].split()[19]
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    owner = json.dumps({"pid": dead.pid, "started": int(started), "boot": boot})
    with two.inside().store.write() as db:
        db.execute("insert into fan_outs (agent, owner) values ('coder', ?)", (owner,))
    assert stale(two) == ["tester"]
    dead.kill()
    dead.wait()
    assert stale(two) == ["coder", "tester"]
    two.run("watch", "--once")
    assert two.asked("state")["fan_out"] == []


def test_what_became_of_each_agent_is_in_the_state_until_the_next_fan_out(two: TestHive) -> None:
    inside = two.inside()
    with staleness.rebuilding(inside, ["tester", "coder", "w1"]) as fan_out:
        fan_out.done("tester")
        fan_out.done("coder", "no such runner")
        assert [row["ok"] for row in two.asked("state")["fan_out"]] == [True, False, None]
    became = [
        {"agent": "tester", "ok": True, "note": None},
        {"agent": "coder", "ok": False, "note": "no such runner"},
    ]
    assert two.asked("state")["fan_out"] == became
    with staleness.rebuilding(inside, ["coder"]):
        assert [row["agent"] for row in two.asked("state")["fan_out"]] == ["coder"]


def test_a_fan_out_leaves_nobody_hidden_when_it_ends_however(two: TestHive) -> None:
    inside = two.inside()
    newer(two)
    with pytest.raises(RuntimeError), staleness.rebuilding(inside, ["coder", "tester"]) as fan_out:
        fan_out.done("coder")
        with inside.store.read() as db:
            assert staleness.spared(db) == {"tester"}
        raise RuntimeError
    assert stale(two) == ["coder", "tester"]


# --- what fails is told


@pytest.mark.parametrize("command", [["update", "--stale"], ["meta-update", "hive"]])
def test_who_could_not_be_rebuilt_in_a_fan_out_is_told_of_once(two: TestHive, command: list[str]) -> None:
    spoil(two, "coder")
    newer(two)
    two.run(*command, code=1)
    # Two that are rebuilt at once end in any order.
    failed, rebuilt = sorted(told(two, "rebuilt"), key=lambda row: str(row["agent"]))
    assert [(row["agent"], row["ok"]) for row in (failed, rebuilt)] == [("coder", False), ("tester", True)]
    assert "nonsense" in failed["note"]
    assert sorted(event["ok"] for event in two.events("rebuilt")) == [False, True]
    assert stale(two) == ["coder"]


@pytest.mark.parametrize("command", [["rebuild", "coder"], ["update", "coder"], ["meta-update", "agent-coder"]])
def test_a_rebuild_that_fails_is_told_of_once(two: TestHive, command: list[str]) -> None:
    spoil(two, "coder")
    two.run(*command, code=1)
    assert [(row["agent"], row["ok"]) for row in told(two, "rebuilt")] == [("coder", False)]


@RUNNING
def test_a_fault_of_the_machine_in_one_rebuild_does_not_stop_the_rest(two: TestHive) -> None:
    generations = two.home / "containers" / "coder" / "generations"
    generations.rename(two.home / "aside")
    generations.write_text("in the way")
    newer(two)
    rows = json.loads(two.run("update", "--stale", "--json", code=1).stdout)
    assert [(row["name"], row["ok"]) for row in rows] == [("coder", False), ("tester", True)]
    assert sorted((row["agent"], row["ok"]) for row in told(two, "rebuilt")) == [("coder", False), ("tester", True)]
    generations.unlink()
    (two.home / "aside").rename(generations)
