"""The watch: what it tells of real agents."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from hive_cmds.harness import set_status
from hive_core.caller import Identity, Role
from hive_core.containers.memory import MemoryHost
from hive_core.events import since
from hive_fleet.agents import restarts
from hive_fleet.changes import spawns
from hive_fleet.watching.rounds import tick
from tests.clients import Client
from tests.hives import PLAIN, TestHive, eventually, interrupt, line_of


def program(hive: TestHive, name: str) -> int:
    """A process of the agent's own, below its supervisor."""
    pid = hive.pid(name)

    def children(parent: int) -> list[int]:
        with open(f"/proc/{parent}/task/{parent}/children") as file:
            return [int(word) for word in file.read().split()]

    while below := children(pid):
        pid = below[0]
    return pid


@pytest.mark.remembered
def test_a_look_from_a_timer_beside_a_running_watch_is_done(hive: TestHive) -> None:
    watch = hive.start("watch")
    assert watch.stderr is not None
    assert watch.stderr.readline() == "watching 0 agents\n"
    assert hive.run("watch", "--once").stderr == "a watch is running already: there is nothing to do\n"
    assert "`hive watch` is running already" in hive.run("watch", code=1).stderr


def test_when_the_folder_of_the_sockets_is_cleared_away_the_agents_get_new_ones(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    up = hive.start("gate")
    watch = hive.start("watch", "--interval", "1")
    eventually((hive.root / "run" / "host.sock").exists)
    first = hive.instance("coder")
    assert not hive.inside().host.severed("coder")
    shutil.rmtree(hive.root / "run")
    assert eventually(lambda: hive.instance("coder") not in (None, first))
    with Client(eventually(lambda: _there(hive.root / "run" / "agents" / "coder.sock"))) as agent:
        assert agent.ask("recent")["ok"] is True
    assert not hive.inside().host.severed("coder")
    eventually(lambda: hive.events("restarted"))
    assert hive.events("container_crash") == []
    assert interrupt(watch) == interrupt(up) == 130


def _there(path: Path) -> Path | None:
    return path if path.exists() else None


def test_a_kill_is_told_at_once_with_its_cause_and_last_lines_and_the_list_is_true(hive: TestHive) -> None:
    hive.spawn("coder")
    watch = hive.start("watch", "--interval", "3600")
    follow = hive.start("events", "--follow", "--kind", "container_crash", "--json")
    assert watch.stderr is not None
    assert watch.stderr.readline() == "watching 1 agent\n"
    eventually(lambda: "ready" in hive.run("journal", "coder").stdout)
    os.kill(program(hive, "coder"), signal.SIGKILL)
    event = json.loads(line_of(follow))
    assert (event["kind"], event["agent"], event["cause"]) == ("container_crash", "coder", "SIGKILL")
    assert "ready" in event["journal"]
    row = hive.agent("coder")
    assert (row["running"], row["failed"], row["cause"]) == (False, True, "SIGKILL")
    assert any(json.loads(body)["event"] == "container_crash" for body in hive.inbox("manager"))


@pytest.mark.remembered
@pytest.mark.parametrize("action", [["stop", "coder"], ["restart", "coder"], ["kill", "coder"], ["rebuild", "coder"]])
def test_what_an_operation_ends_is_no_crash(hive: TestHive, action: list[str]) -> None:
    hive.spawn("coder")
    hive.run("watch", "--once")
    hive.run(*action)
    hive.run("watch", "--once")
    assert hive.run("events", "--since", "0", "--kind", "container_crash").stdout == ""


def test_an_end_is_told_although_something_else_looked_first(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    hive.run("watch", "--once")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not hive.agent("coder")["running"])
    hive.run("rebuild", "other")  # An operation on another agent,
    hive.run("pause", "coder")  # and a change of how this one is shown.
    assert "crashed: SIGKILL" in hive.run("watch", "--once").stdout
    assert len(hive.events("container_crash")) == 1


@pytest.mark.remembered
def test_a_lost_login_is_told_when_the_harness_says_so_and_a_stopped_agent_does_not_get_it_back(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with inside.store.write() as db:
        db.execute("""update agents set runner = 'claude', given = '["ANTHROPIC_API_KEY"]'""")
    watch = hive.start("watch", "--interval", "3600")
    follow = hive.start("events", "--follow", "--kind", "needs_login", "--json")
    assert watch.stderr is not None
    assert watch.stderr.readline() == "watching 1 agent\n"
    set_status(inside.acting_as(Identity(Role.AGENT, "coder")), "needs_login")
    event = json.loads(line_of(follow))
    assert (event["kind"], event["agent"]) == ("needs_login", "coder")
    hive.run("stop", "coder")
    assert hive.agent("coder")["needs_login"]
    assert hive.events("logged_in") == []


def test_a_look_by_a_timer_compares_with_the_look_before(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("watch", "--once")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not hive.agent("coder")["running"])
    assert "crashed: SIGKILL" in hive.run("watch", "--once").stdout
    assert "crashed" not in hive.run("watch", "--once").stdout


def test_the_first_look_of_a_long_watch_concludes_nothing(hive: TestHive) -> None:
    hive.spawn("coder")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not hive.agent("coder")["running"])
    watch = hive.start("watch", "--interval", "1", "--json")
    assert json.loads(line_of(watch))["kind"] == "container_state_changed"
    assert interrupt(watch) == 130
    assert hive.run("events", "--since", "0", "--kind", "container_crash").stdout == ""


def test_an_agent_that_ended_unwatched_is_restarted_when_its_configuration_says_so(hive: TestHive) -> None:
    script = '["sh", "-c", "exec sleep infinity"]'
    hive.spawn("coder", f'runner = "command"\ncommand = {script}\nrestart = "always"\n')
    hive.spawn("other", f'runner = "command"\ncommand = {script}\n')
    for name in ("coder", "other"):
        os.kill(program(hive, name), signal.SIGKILL)
        eventually(lambda name=name: not hive.agent(name)["running"])  # type: ignore[misc]
    hive.start("watch", "--interval", "3600")
    eventually(lambda: hive.agent("coder")["running"])
    assert not hive.agent("other")["running"]
    assert hive.events("container_crash") == []


@pytest.mark.remembered
def test_an_agent_that_needs_no_login_any_more_was_not_logged_in(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "claude"\n')
    hive.run("watch", "--once")
    hive.run("approve", str(hive.request("coder", PLAIN)))
    hive.run("watch", "--once")
    assert hive.events("logged_in") == []
    hive.run("approve", str(hive.request("coder", 'runner = "claude"\nsettle_seconds = 0.05\n')))
    hive.run("watch", "--once")
    assert len(hive.events("needs_login")) == 1


def test_an_agent_is_restarted_after_a_failure_when_its_configuration_says_so(hive: TestHive) -> None:
    watch = hive.start("watch", "--interval", "1", "--json")
    assert watch.stderr is not None
    assert watch.stderr.readline() == "watching 0 agents\n"
    hive.spawn(
        "coder", 'runner = "command"\ncommand = ["sh", "-c", "echo up; sleep 0.3; exit 3"]\nrestart = "on-failure"\n'
    )
    kinds: list[str] = []
    while kinds.count("started") < 2:
        event = json.loads(line_of(watch))
        if event.get("agent") == "coder":
            kinds.append(event["kind"])
    assert kinds.count("container_crash") >= 2
    assert kinds.index("container_crash") < kinds.index("started")
    hive.run("stop", "coder")
    # The word of a crash says when the agent is started again: the manager is woken once by both.
    told = [json.loads(body) for body in hive.inbox("manager")]
    assert [message["event"] for message in told if message["event"] == "started"] == []
    crashes = [message for message in told if message["event"] == "container_crash"]
    assert crashes
    assert all(message["restart_at"] for message in crashes)


@pytest.mark.remembered
def test_an_agent_that_crashes_again_and_again_is_left_alone_in_the_end(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "command"\ncommand = ["sh", "-c", "exit 0"]\nrestart = "always"\n')
    now = 1_000_000.0
    inside = hive.inside()
    inside.clock = lambda: now
    with inside.store.write() as db:
        db.execute("update pictures set running = 1")
    # As often as it takes, and not once in the hour until the next try.
    for _ in range(restarts.LOOP + 10):
        tick(inside, seed=False)
        now += restarts.LONGEST
    with inside.store.read() as db:
        kinds = [event.kind for event in since(db, 0)]
    assert kinds.count("started") == restarts.LOOP - 1
    assert kinds.count("crash_loop") == 1
    row = hive.agent("coder")
    assert (row["failed"], row["crash_loop"]) == (True, True)
    [loop] = hive.events("crash_loop")
    assert loop["note"] == "8 crashes in 35 min: 8 x exit code 0; the next try is in 1 h"
    now = loop["restart_at"] + 1.0
    tick(inside, seed=False)
    assert len(hive.events("started")) == restarts.LOOP
    assert "crash loop, `hive start coder`" in hive.run("list").stdout


def crash_once(hive: TestHive) -> None:
    """An agent that ends at once, and a look that finds it ended."""
    hive.spawn("coder", 'runner = "command"\ncommand = ["sh", "-c", "exit 0"]\nrestart = "always"\n')
    inside = hive.inside()
    eventually(lambda: not inside.host.containers()["coder"].running)
    tick(inside, seed=False)


@pytest.mark.remembered
def test_a_restart_that_is_due_shows_in_the_list_and_in_the_events(hive: TestHive) -> None:
    crash_once(hive)
    with hive.inside().store.write() as db:
        db.execute("update agents set restart_at = restart_at + 7200")
    assert re.search(r"failed, restart in [12] h", hive.run("list").stdout)
    assert "restart_at" in hive.agent("coder")
    changes = hive.events("container_state_changed")
    assert [change["container"]["crash_loop"] for change in changes][-1] is False
    assert "restart_at" in changes[-1]["container"]
    with hive.inside().store.write() as db:
        db.execute("update agents set restart_at = 1")
    assert "failed, restart is due" in hive.run("list").stdout


@pytest.mark.remembered
@pytest.mark.parametrize("set_by", [1.0, -86400.0])
def test_a_clock_that_is_set_forward_or_back_holds_no_restart_up(hive: TestHive, set_by: float) -> None:
    crash_once(hive)
    inside = hive.inside()
    real = inside.clock
    inside.clock = lambda: real() + set_by
    tick(inside, seed=False)
    assert len(hive.events("started")) == 1


@pytest.mark.remembered
@pytest.mark.parametrize("verb", ["start", "restart"])
def test_whoever_starts_an_agent_by_hand_gives_it_all_its_restarts_again(hive: TestHive, verb: str) -> None:
    crash_once(hive)
    with hive.inside().store.write() as db:
        db.execute("update agents set crashes = ?, restart_at = null", (restarts.LOOP,))
    assert hive.agent("coder")["crash_loop"] is True
    hive.run(verb, "coder")
    with hive.inside().store.read() as db:
        assert tuple(db.execute("select crashes, crashed_at from agents").fetchone()) == (0, None)
    assert hive.agent("coder")["crash_loop"] is False


def test_a_crash_is_told_with_the_lines_of_its_own_run_alone(hive: TestHive) -> None:
    script = "test -e /state/x || { touch /state/x; echo of the first run; }; exec sleep infinity"
    hive.spawn("coder", f'runner = "command"\ncommand = ["sh", "-c", "{script}"]\n')
    eventually(lambda: "of the first run" in hive.run("journal", "coder").stdout)
    hive.run("restart", "coder")
    hive.run("watch", "--once")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not hive.agent("coder")["running"])
    hive.run("watch", "--once")
    assert [event["journal"] for event in hive.events("container_crash")] == [""]


def test_the_journal_of_a_crash_is_read_while_others_can_write(hive: TestHive) -> None:
    hive.spawn("coder")
    os.kill(program(hive, "coder"), signal.SIGKILL)
    eventually(lambda: not hive.agent("coder")["running"])
    journal = hive.home / "containers" / "coder" / "journal"
    journal.unlink()
    os.mkfifo(journal)
    hive.extra["TMPDIR"] = str(hive.root)
    with hive.inside().store.write():
        hive.start("watch", "--once")
        # Opening the other end succeeds when somebody is reading: before it waits for us to have written.
        os.close(eventually(lambda: opened(journal)))


def opened(fifo: Path) -> int | None:
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return None
        raise


@pytest.mark.remembered
def test_the_managers_crashes_and_its_loop_are_told_as_everybodys_are(hive: TestHive) -> None:
    hive.configure("manager", f'{PLAIN}restart = "always"\n')
    inside = hive.inside()
    spawns.spawn_manager(inside)
    host = MemoryHost(inside.settings)
    now = 1_000_000.0
    inside.clock = lambda: now
    tick(inside, seed=False)
    for _ in range(restarts.LOOP):
        host.finish("manager", 9)
        tick(inside, seed=False)
        now += restarts.LONGEST
        tick(inside, seed=False)
    assert [event["cause"] for event in hive.events("container_crash")] == ["exit code 9"] * restarts.LOOP
    [loop] = hive.events("crash_loop")
    assert loop["agent"] == "manager"
    assert [need["id"] for need in hive.asked("needs_you")] == ["crash_loop/manager"]
    hive.run("start", "manager")
    assert (hive.agent("manager")["crash_loop"], hive.asked("needs_you")) == (False, [])
