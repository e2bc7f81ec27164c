"""A pause of everybody, and the stop of everything: at once, whatever is being done, until it is lifted."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from hive_core.locks import file_lock
from hive_fleet.watching.rounds import tick
from tests.clients import Client
from tests.hives import PLAIN, TestHive, eventually

POLITE = (
    'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "trap \'\' TERM; while :; do sleep 1; done"]\n'
)
RESTARTING = f'restart = "always"\n{PLAIN}'


def running(hive: TestHive) -> list[str]:
    return sorted(name for name, container in hive.inside().host.containers().items() if container.running)


def client(hive: TestHive, name: str) -> Client | None:
    try:
        return Client(hive.root / "run" / name)
    except OSError:
        return None


def whole(host: Client, op: str) -> Any:
    """What an operation returns, asked for by `op`."""
    host.send(json.dumps({"op": op}).encode() + b"\n")
    return host.read()["result"]


def look(hive: TestHive) -> None:
    inside = hive.inside()
    with closing(inside.store):
        tick(inside, seed=False)


def test_everything_stops_though_every_lock_is_held_and_no_agent_listens(hive: TestHive) -> None:
    hive.spawn("coder", POLITE)
    hive.spawn("tester", RESTARTING)
    hive.spawn("idle")
    hive.run("stop", "idle")
    hive.run("watch", "--once")
    locks = hive.home / "locks"
    with file_lock(locks / "agent-coder.lock", "a deploy"), file_lock(locks / "meta.lock", "a build"):
        done = hive.run("estop")
        assert "2 agents ended" in done.stderr
        assert running(hive) == []
    rows = {row["name"]: row for row in hive.asked("list")}
    assert [(rows[name].get("halted"), rows[name]["failed"]) for name in ("coder", "tester", "idle")] == [
        (True, False),
        (True, False),
        (None, False),
    ]
    # No watch takes that for a crash, or starts it again.
    for _ in range(2):
        look(hive)
    assert hive.events("container_crash", "started") == []
    assert [event["agents"] for event in hive.events("halted")] == [["coder", "tester"]]
    assert [(event["agent"], event["note"]) for event in hive.events("killed")][1:] == [
        ("coder", "stopped by `hive estop`"),
        ("tester", "stopped by `hive estop`"),
    ]
    assert running(hive) == []


@pytest.mark.remembered
def test_one_that_waits_for_its_restart_is_shown_halted_at_once_too(hive: TestHive) -> None:
    hive.spawn(
        "coder", 'runner = "command"\nrestart = "always"\nsettle_seconds = 0\ncommand = ["sh", "-c", "sleep 9"]\n'
    )
    hive.spawn("tester")
    look(hive)
    hive.inside().host.finish("coder", 3)  # type: ignore[attr-defined]
    look(hive)
    assert "restart_at" in shown(hive)["coder"]
    hive.run("estop")
    told = shown(hive)["coder"]
    assert (told["halted"], told["failed"], told.get("restart_at")) == (True, False, None)
    assert shown(hive)["tester"]["halted"] is True


def shown(hive: TestHive) -> dict[str, Any]:
    """Each agent as a client of the stream knows it."""
    return {row["name"]: row for row in hive.asked("state")["agents"]}


@pytest.mark.remembered
def test_nothing_starts_until_it_is_lifted_and_then_what_ran_does(hive: TestHive) -> None:
    for name in ("coder", "tester", "idle"):
        hive.spawn(name, RESTARTING)
    hive.run("stop", "idle")
    hive.run("estop")
    hive.run("estop")
    assert len(hive.events("halted")) == 1
    for verb in ("start", "restart"):
        assert "`hive resume --all`" in hive.run(verb, "coder", code=1).stderr
    assert "`hive resume --all` starts it" in hive.run("resume", "coder").stderr
    hive.run("rebuild", "coder")
    hive.spawn("late", RESTARTING)
    hive.run("approve", str(hive.request("coder", RESTARTING.replace("ready", "again"))))
    assert running(hive) == []
    assert "everything is stopped" in hive.run("list").stderr
    hive.run("stop", "tester")
    rows = hive.json("resume", "--all")
    assert [row["name"] for row in rows if row["running"]] == ["coder", "late"] == running(hive)
    assert [event["kind"] for event in hive.events("halted", "resumed")] == ["halted", "resumed"]
    assert not any("halted" in row for row in rows)
    hive.run("start", "tester")


@pytest.mark.remembered
def test_one_that_was_killed_midway_is_finished_by_the_watch(hive: TestHive) -> None:
    hive.spawn("coder")
    look(hive)
    inside = hive.inside()
    with inside.store.write() as db:
        from hive_core.events import emit
        from hive_fleet.agents import halt

        emit(db, "halted", agents=halt.begin(db, 1.0), halted_at=1)
    look(hive)
    assert running(hive) == []
    assert hive.agent("coder")["halted"] is True
    assert hive.events("container_crash") == []


@pytest.mark.remembered
def test_a_database_that_somebody_holds_up_keeps_no_agent_alive(hive: TestHive) -> None:
    hive.spawn("coder")
    with closing(sqlite3.connect(hive.home / "hive.db", isolation_level=None)) as db:
        db.execute("begin immediate")
        stopping = hive.start("estop")
        eventually(lambda: running(hive) == [])
        assert stopping.poll() is None
        db.execute("rollback")
    assert stopping.wait() == 0
    look(hive)
    assert hive.events("container_crash") == []
    assert hive.agent("coder")["halted"] is True


@pytest.mark.remembered
def test_one_that_cannot_be_started_keeps_no_other_from_it_and_is_named(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("tester")
    hive.run("estop")
    build = next((hive.home / "containers" / "coder" / "builds").iterdir())
    build.write_text('runner = "nonsense"\n')
    (hive.home / "applied" / "coder" / "agent.toml").write_text('runner = "nonsense"\n')
    hive.git("applied/coder", "commit", "-qam", "past hive")
    assert "Not started: coder" in hive.run("resume", "--all", code=1).stderr
    assert running(hive) == ["tester"]


@pytest.mark.remembered
def test_everybody_with_turns_is_paused_and_goes_on_at_once(hive: TestHive) -> None:
    for name in ("coder", "tester", "plain"):
        hive.spawn(name)
    with hive.inside().store.write() as db:
        db.execute("update agents set runner = 'claude' where name != 'plain'")
    assert [(row["name"], row["paused"]) for row in hive.json("pause", "--all")] == [("coder", True), ("tester", True)]
    assert [row["paused"] for row in hive.asked("list")] == [True, False, True]
    assert [row["paused"] for row in hive.json("resume", "--all")] == [False, False, False]
    for verb in ("pause", "resume"):
        assert "either the name" in hive.run(verb, code=2).stderr
        assert "either the name" in hive.run(verb, "coder", "--all", code=2).stderr


@pytest.mark.remembered
def test_the_operators_socket_stops_everything_too_and_no_agents_does(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.start("gate")
    host = eventually(lambda: client(hive, "host.sock"))
    with closing(host), closing(eventually(lambda: client(hive, "agents/coder.sock"))) as coder:
        assert coder.ask(cmd="estop")["ok"] is False
        assert [row["name"] for row in whole(host, "estop")] == ["coder"]
        assert whole(host, "state")["halted_at"] > 0
    assert running(hive) == []
