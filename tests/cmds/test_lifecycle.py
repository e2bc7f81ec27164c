"""Lifecycle: what each verb does to an agent, whom it tells, whom it wakes, and what a destroy leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from hive_agent import MANAGER
from hive_core.hostile_folders import remove
from hive_fleet.requests import queue
from tests.clients import Client
from tests.hives import PATIENCE, PLAIN, TestHive, eventually, interrupt

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'
DIES_AT_ONCE = 'runner = "command"\ncommand = ["false"]\n'
FAKE_LOGIN = '{"claudeAiOauth": {"accessToken": "fake-for-tests"}}'


@pytest.fixture
def coder(hive: TestHive) -> TestHive:
    """A hive with one running agent."""
    hive.spawn("coder")
    return hive


def newest(hive: TestHive) -> int:
    """The seq of the newest event."""
    return int(hive.events()[-1]["seq"])


def after(hive: TestHive, seq: int, kinds: set[str]) -> list[dict[str, Any]]:
    return [event for event in hive.events() if event["seq"] > seq and event["kind"] in kinds]


def told(hive: TestHive) -> list[dict[str, Any]]:
    """The system messages in the manager's inbox."""
    return [json.loads(body) for body in hive.inbox(MANAGER) if body.startswith("{")]


def kicks(hive: TestHive, name: str = "coder") -> list[str]:
    return [body for body in hive.inbox(name) if body.startswith("You were ")]


# --- what each verb tells

VERBS = [
    ("start", "starting", "started", "started", True),
    ("stop", "stopping", "killed", None, False),
    ("kill", "stopping", "killed", None, False),
    ("restart", "restarting", "restarted", "restarted", True),
    ("rebuild", "rebuilding", "rebuilt", "rebuilt", True),
    ("update", "rebuilding", "rebuilt", "rebuilt", True),
]


@pytest.mark.parametrize(("verb", "kind", "event", "kick", "runs"), VERBS, ids=[verb[0] for verb in VERBS])
def test_a_verb_shows_its_operation_tells_the_manager_and_kicks_the_agent_when_it_runs_anew(
    coder: TestHive, verb: str, kind: str, event: str, kick: str | None, runs: bool
) -> None:
    if verb == "start":
        coder.run("stop", "coder")
    seq, messages, kicked = newest(coder), len(told(coder)), len(kicks(coder))
    coder.run(verb, "coder")
    stream = after(coder, seq, {"transient_set", event, "transient_cleared", "container_state_changed"})
    kinds = [item["kind"] for item in stream]
    assert kinds[:3] == ["transient_set", event, "transient_cleared"]
    assert (stream[0]["name"], stream[0]["transient_kind"]) == ("coder", kind)
    assert (stream[1]["agent"], stream[2]["name"]) == ("coder", "coder")
    if verb in ("start", "stop", "kill"):
        assert kinds[3:] == ["container_state_changed"]
        assert stream[3]["container"]["running"] is runs
    assert [(message["event"], message["agent"]) for message in told(coder)[messages:]] == [(event, "coder")]
    assert kicks(coder)[kicked:] == ([kick_of(kick)] if kick else [])
    row = coder.agent("coder")
    assert (row["running"], row["failed"], "operation" in row) == (runs, False, False)


def kick_of(what: str) -> str:
    return f"You were {what}. See your state folder for notes; your session continues."


def test_a_rebuild_tells_the_commit_that_was_built(coder: TestHive) -> None:
    coder.run("rebuild", "coder")
    assert told(coder)[-1]["sha"] == coder.git("applied/coder", "rev-parse", "main")


def test_an_applied_commit_kicks(coder: TestHive) -> None:
    coder.run("approve", str(coder.request("coder", SAY.format("new"))))
    assert kicks(coder)[-1] == kick_of("rebuilt: a config update was applied")


def test_a_spawn_is_told_to_the_manager(coder: TestHive) -> None:
    last = told(coder)[-1]
    assert (last["event"], last["agent"], len(last["sha"])) == ("spawned", "coder", 40)


@pytest.mark.parametrize("verb", ["start", "stop", "kill"])
def test_a_verb_that_has_nothing_to_do_tells_nobody(coder: TestHive, verb: str) -> None:
    if verb != "start":
        coder.run("stop", "coder")
    before = (told(coder), kicks(coder), coder.agent("coder"))
    coder.run(verb, "coder")
    assert (told(coder), kicks(coder), coder.agent("coder")) == before


def test_starting_what_runs_leaves_it_running(coder: TestHive) -> None:
    instance = coder.instance("coder")
    coder.run("start", "coder")
    assert coder.instance("coder") == instance


@pytest.mark.parametrize("verb", ["restart", "rebuild", "update"])
def test_running_anew_is_another_start_and_again_is_as_good_as_once(coder: TestHive, verb: str) -> None:
    instances, lock = {coder.instance("coder")}, (coder.home / "meta" / "flake.lock").read_bytes()
    for _ in range(2):
        coder.run(verb, "coder")
        instances.add(coder.instance("coder"))
    assert len(instances) == 3
    assert (coder.home / "meta" / "flake.lock").read_bytes() == lock
    assert coder.agent("coder")["deployed_sha"] == coder.git("applied/coder", "rev-parse", "main")[:12]


@pytest.mark.parametrize(("verb", "runs"), [("restart", True), ("rebuild", False), ("update", False)])
def test_what_was_stopped_is_started_by_a_restart_and_stays_stopped_through_a_rebuild(
    coder: TestHive, verb: str, runs: bool
) -> None:
    coder.run("stop", "coder")
    coder.run(verb, "coder")
    assert coder.agent("coder")["running"] is runs


def test_an_agent_that_was_rebuilt_while_it_was_stopped_is_not_told_before_it_runs(coder: TestHive) -> None:
    coder.run("stop", "coder")
    coder.run("rebuild", "coder")
    coder.run("start", "coder")
    assert kicks(coder)[-1] == kick_of("started")


@RUNNING
def test_a_polite_stop_lets_the_agent_end_by_itself_and_a_kill_does_not(hive: TestHive) -> None:
    script = "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    hive.spawn("coder", f'runner = "command"\ncommand = ["sh", "-c", "{script}"]\n')
    for verb, goodbyes in (("stop", 1), ("kill", 1)):
        count = hive.run("journal", "coder").stdout.count("ready")
        if verb == "kill":
            hive.run("start", "coder")
            count += 1
        eventually(lambda wanted=count: hive.run("journal", "coder").stdout.count("ready") >= max(1, wanted))
        hive.run(verb, "coder")
        assert hive.run("journal", "coder").stdout.count("goodbye") == goodbyes


def test_an_agent_that_is_not_there_is_refused_with_a_hint(coder: TestHive) -> None:
    before = coder.events()
    for verb in ("start", "stop", "kill", "restart", "rebuild", "update", "journal", "destroy"):
        yes = ["--yes"] if verb == "destroy" else []
        message, hint = coder.run(verb, "nobody", *yes, code=1).stderr.splitlines()
        assert "nobody" in message, verb
        assert hint.startswith("  `hive list`"), verb
        assert coder.events() == before, verb


# --- what goes wrong

BROKEN = 'runner = "nonsense"\n'


def commit_applied(hive: TestHive, name: str, toml: str) -> str:
    """Commit to an applied repository itself, past hive; the sha."""
    applied = hive.home / "applied" / name
    (applied / "agent.toml").write_text(toml)
    hive.git(f"applied/{name}", "commit", "-qam", "past hive")
    return hive.git(f"applied/{name}", "rev-parse", "main")


@pytest.mark.parametrize("verb", ["rebuild", "update"])
def test_a_rebuild_that_fails_leaves_what_runs_and_holds_up_nothing_else(coder: TestHive, verb: str) -> None:
    before, instance = coder.agent("coder"), coder.instance("coder")
    commit_applied(coder, "coder", BROKEN)
    assert "nonsense" in coder.run(verb, "coder", code=1).stderr
    assert (coder.agent("coder"), coder.instance("coder")) == (before, instance)
    assert coder.git("meta", "status", "--porcelain") == ""
    coder.spawn("tester")
    coder.run("stop", "coder")
    coder.run("destroy", "coder", "--yes")


def without_a_sandbox(hive: TestHive) -> None:
    """Take away what keeps agents apart: nothing that ran with it starts any more."""
    tools = hive.root / "tools"
    tools.mkdir()
    for program in ("git", "sh"):
        (tools / program).symlink_to(str(shutil.which(program)))
    hive.extra["PATH"] = str(tools)


@RUNNING
@pytest.mark.parametrize("verb", ["start", "restart", "rebuild"])
def test_an_agent_that_cannot_be_started_shows_as_failed_and_holds_up_nothing(coder: TestHive, verb: str) -> None:
    if verb == "start":
        coder.run("stop", "coder")
    without_a_sandbox(coder)
    assert "sandbox" in coder.run(verb, "coder", code=1).stderr
    row = coder.agent("coder")
    assert (row["running"], row["failed"], "operation" in row) == (False, True, False)
    del coder.extra["PATH"]
    coder.run("start", "coder")
    assert coder.agent("coder")["running"] is True


@RUNNING
def test_a_program_that_ends_at_once_is_started_all_the_same(hive: TestHive) -> None:
    hive.spawn("coder", DIES_AT_ONCE)
    eventually(lambda: hive.agent("coder")["failed"])
    hive.run("restart", "coder")
    assert eventually(lambda: hive.agent("coder").get("cause")) == "exit code 1"


# --- destroy, tombstones, revive, purge


def test_a_destroy_keeps_state_and_decisions_and_tells_nobody_but_the_manager(coder: TestHive) -> None:
    seq, kicked = newest(coder), kicks(coder)
    coder.run("destroy", "coder", "--yes")
    assert coder.json("list") == []
    assert (coder.home / "agents" / "coder" / "config" / "agent.toml").read_text() == PLAIN
    assert coder.git("applied/coder", "rev-parse", "main")
    assert not (coder.home / "containers" / "coder").exists()
    kinds = [event["kind"] for event in after(coder, seq, {event["kind"] for event in coder.events()})]
    wanted = ["transient_set", "destroyed", "meta_inputs_changed", "tombstones_changed", "transient_cleared"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    assert kinds[-1] == "container_removed"
    assert (told(coder)[-1], kicks(coder)) == ({"event": "destroyed", "agent": "coder"}, kicked)


def test_a_destroy_speaks_of_a_login_only_where_there_is_one(coder: TestHive) -> None:
    assert "its configuration with all history and its state (" in coder.run("destroy", "coder", "--yes").stderr
    login = coder.home / "agents" / "coder" / "claude" / ".credentials.json"
    login.write_text('{"claudeAiOauth": {"accessToken": "fake"}}')
    told = coder.run("purge", "coder", code=1).stderr
    assert "its configuration with all history, its state and its login (" in told


def test_a_destroyed_agent_is_no_input_of_the_meta_flake_any_more(coder: TestHive) -> None:
    coder.spawn("tester")
    coder.run("destroy", "coder", "--yes")
    assert [row["name"] for row in coder.json("inputs")] == ["hive", "agent-tester"]
    assert "agent-coder" not in (coder.home / "meta" / "flake.nix").read_text()
    assert coder.git("meta", "log", "-1", "--format=%s") == "destroy coder"
    assert coder.git("meta", "status", "--porcelain") == ""
    shown = coder.events("meta_inputs_changed")[-1]["inputs"]
    assert [row["name"] for row in shown] == ["hive", "agent-tester"]


def test_a_destroy_asks_first_and_without_a_terminal_it_refuses(coder: TestHive) -> None:
    for options in ([], ["--purge"]):
        asked = coder.run("destroy", "coder", *options, code=1).stderr
        assert "Destroy coder?" in asked
        assert ("no undo" in asked) == bool(options)
        assert "--yes" in asked
        assert coder.agent("coder")["running"] is True


def test_a_purging_destroy_leaves_nothing(coder: TestHive) -> None:
    coder.run("destroy", "coder", "--purge", "--yes")
    for folder in ("agents", "applied", "proposed", "containers"):
        assert not (coder.home / folder / "coder").exists()
    assert coder.json("tombstones") == []
    assert told(coder)[-1] == {"event": "destroyed", "agent": "coder", "note": "purged"}


def test_the_manager_is_not_destroyed(hive: TestHive) -> None:
    told = hive.run("destroy", MANAGER, "--yes", code=1).stderr
    assert "The manager cannot be destroyed." in told
    assert "hive stop manager" in told


def break_refs(meta: Path) -> None:
    (meta / ".git" / "HEAD").write_text("nonsense\n")


def break_objects(meta: Path) -> None:
    shutil.rmtree(meta / ".git" / "objects")


def break_all(meta: Path) -> None:
    shutil.rmtree(meta)
    meta.write_text("not a folder\n")


@pytest.mark.parametrize("harm", [break_refs, break_objects, break_all])
def test_a_destroy_stands_when_the_meta_flake_cannot_be_rendered_and_says_so(coder: TestHive, harm: Any) -> None:
    coder.spawn("tester")
    harm(coder.home / "meta")
    assert "warning: coder is destroyed, but" in coder.run("destroy", "coder", "--yes").stderr
    assert [(row["name"], row["running"]) for row in coder.json("list")] == [("tester", True)]
    assert [row["name"] for row in coder.json("tombstones")] == ["coder"]


def test_a_damaged_lock_is_told_hides_no_agent_and_is_put_back_by_the_next_change(coder: TestHive) -> None:
    lock = coder.home / "meta" / "flake.lock"
    committed = lock.read_bytes()
    for harm in (lambda: lock.write_text("nonsense"), lambda: (lock.unlink(), lock.mkdir())):
        harm()
        assert "flake.lock cannot be read" in coder.run("inputs", code=1).stderr
        assert coder.agent("coder")["needs_update"] is False
        coder.run("rebuild", "coder")
        assert lock.read_bytes() == committed


def test_tombstones_tell_size_age_and_login(coder: TestHive) -> None:
    state = coder.home / "agents" / "coder"
    coder.spawn("tester")
    (state / "state" / "notes").write_bytes(b"x" * 100_000)
    (state / "claude" / ".credentials.json").write_text(FAKE_LOGIN)
    (state / "state" / "elsewhere").symlink_to("/usr")
    os.utime(state / "state", (4e9, 4e9))
    assert coder.json("tombstones") == []
    for name in ("coder", "tester"):
        coder.run("destroy", name, "--yes")
    first, second = coder.json("tombstones")
    assert (first["name"], first["has_login"]) == ("coder", True)
    assert (second["name"], second["has_login"]) == ("tester", False)
    assert 100_000 < first["size"] < 200_000 + second["size"]
    assert first["last_modified"] <= coder.inside().clock()
    head, *rows = coder.run("tombstones").stdout.splitlines()
    assert head.split() == ["NAME", "SIZE", "AGE", "HAS", "LOGIN"]
    assert [row.split()[-1] for row in rows] == ["yes", "no"]
    assert [row["name"] for row in coder.events("tombstones_changed")[-1]["tombstones"]] == ["coder", "tester"]


def test_a_revive_is_a_request_to_spawn_that_somebody_approves(coder: TestHive) -> None:
    coder.run("destroy", "coder", "--yes")
    row = coder.json("revive", "coder")
    assert (row["kind"], row["agent"], row["status"]) == ("spawn", "coder", "pending")
    assert coder.json("list") == []
    coder.run("approve", str(row["id"]))
    assert coder.agent("coder")["running"] is True
    assert coder.json("tombstones") == []


def test_who_is_brought_back_is_told_so_and_who_is_new_is_not(coder: TestHive) -> None:
    coder.run("destroy", "coder", "--yes")
    assert kicks(coder) == []
    coder.run("approve", str(coder.json("revive", "coder")["id"]))
    assert kicks(coder) == [kick_of("brought back")]


def test_nobody_is_revived_who_is_not_dead(coder: TestHive) -> None:
    assert "coder" in coder.run("revive", "coder", code=1).stderr
    assert "nobody" in coder.run("revive", "nobody", code=1).stderr


def test_a_purge_removes_what_was_kept_and_refuses_while_a_container_lives(coder: TestHive) -> None:
    refused = coder.run("purge", "coder", "--yes", code=1).stderr
    assert "coder has a container." in refused
    assert "--purge" in refused
    coder.run("destroy", "coder", "--yes")
    assert "--yes" in coder.run("purge", "coder", code=1).stderr
    assert (coder.home / "agents" / "coder").exists()
    coder.run("purge", "coder", "--yes")
    for folder in ("agents", "applied", "proposed"):
        assert not (coder.home / folder / "coder").exists()
    assert coder.json("tombstones") == []
    assert told(coder)[-1] == {"event": "purged", "agent": "coder"}
    assert "nothing is kept" in coder.run("purge", "coder", "--yes", code=1).stderr.lower()


@pytest.mark.parametrize("arguments", [["purge"], ["destroy", "--purge"]], ids=["purge", "destroy"])
def test_who_purges_an_agent_whose_return_is_asked_for_is_told_so(coder: TestHive, arguments: list[str]) -> None:
    verb, *options = arguments
    if verb == "purge":
        coder.run("destroy", "coder", "--yes")
    with coder.inside().store.write() as db:
        number = queue.add(coder.inside(), db, agent="coder", kind="spawn", commit_ref="", description=None)
    assert f"request {number} still asks for coder" in coder.run(verb, "coder", *options, "--yes").stderr


def test_a_purged_name_starts_anew(coder: TestHive) -> None:
    coder.run("send", "coder", "for the first of its name")
    coder.run("destroy", "coder", "--purge", "--yes")
    coder.spawn("coder", SAY.format("anew"))
    assert coder.git("applied/coder", "tag") == ""
    assert coder.json("search", "first") == []
    assert eventually(lambda: any(line.endswith(" anew") for line in coder.json("journal", "coder")))


# --- up


@pytest.fixture
def managed(hive: TestHive) -> TestHive:
    """A hive whose manager is configured, and that has not been up yet."""
    hive.configure(MANAGER, PLAIN)
    return hive


def go_up(hive: TestHive, *options: str) -> subprocess.Popen[str]:
    """`hive up`, up."""
    process = hive.start("up", *options)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        if line.startswith("hive is up"):
            return process
        said.append(line)
    raise AssertionError(f"hive up ended with {process.wait()}: {''.join(said)}")


@pytest.fixture
def manager(managed: TestHive) -> Iterator[Client]:
    """The manager's own way to a hive with an agent beside it."""
    go_up(managed)
    managed.spawn("coder")
    path = managed.root / "run" / "manager.sock"
    eventually(path.exists)
    with Client(path) as client:
        yield client


def test_the_manager_can_do_none_of_this_to_itself(managed: TestHive, manager: Client) -> None:
    before = managed.agent(MANAGER), managed.instance(MANAGER)
    for verb in ("start", "stop", "kill", "restart", "update", "destroy"):
        answer = manager.ask(verb, name=MANAGER)
        assert answer["ok"] is False, verb
        assert (
            "no command" in answer["error"]
            if verb in ("stop", "destroy")
            else f"cannot {verb} itself" in answer["error"]
        ), verb
        assert (managed.agent(MANAGER), managed.instance(MANAGER)) == before, verb


def test_the_manager_looks_after_others(managed: TestHive, manager: Client) -> None:
    for verb in ("kill", "start", "restart", "update"):
        assert manager.ask(verb, name="coder")["ok"] is True
        assert managed.agent("coder")["running"] is (verb != "kill")


def test_the_operator_stops_and_restarts_the_manager(managed: TestHive, manager: Client) -> None:
    managed.run("stop", MANAGER)
    assert managed.agent(MANAGER)["running"] is False
    managed.run("restart", MANAGER)
    assert managed.agent(MANAGER)["running"] is True


@RUNNING
def test_up_makes_the_manager_and_ctrl_c_leaves_it_running(managed: TestHive) -> None:
    up = go_up(managed)
    up.send_signal(signal.SIGINT)
    assert "the agents go on without it" in up.communicate()[1]
    assert up.returncode == 130
    pid = managed.pid(MANAGER)
    assert managed.agent(MANAGER)["running"] is True
    assert interrupt(go_up(managed)) == 130
    assert managed.pid(MANAGER) == pid


@RUNNING
def test_up_starts_what_ran_before_and_leaves_alone_what_was_stopped(managed: TestHive) -> None:
    interrupt(go_up(managed))
    for name in ("coder", "tester"):
        managed.spawn(name)
    managed.run("stop", "tester")
    # As after a power cut: nothing runs, and nobody wanted that.
    for name in (MANAGER, "coder"):
        os.kill(managed.pid(name), signal.SIGKILL)
        eventually(lambda name=name: not managed.agent(name)["running"])
    up = go_up(managed)
    assert {row["name"]: row["running"] for row in managed.json("list")} == {
        MANAGER: True,
        "coder": True,
        "tester": False,
    }
    assert interrupt(up) == 130


def test_up_says_who_stays_stopped_and_how_to_start_it(managed: TestHive) -> None:
    interrupt(go_up(managed))
    managed.spawn("coder")
    for name in (MANAGER, "coder"):
        managed.run("stop", name)
    up = managed.start("up")
    assert up.stderr is not None
    said = list(islice((line for line in up.stderr if "stopped by hand" in line), 2))
    assert said == [
        f"{name} was stopped by hand and stays so; `hive start {name}` starts it\n" for name in (MANAGER, "coder")
    ]
    assert interrupt(up) == 130


def test_up_that_is_to_stop_them_rests_the_agents_and_the_next_up_starts_those_again(managed: TestHive) -> None:
    up = go_up(managed, "--stop")
    for name in ("coder", "tester"):
        managed.spawn(name)
    managed.run("stop", "tester")
    assert interrupt(up) == 130
    rows = managed.json("list")
    assert [(row["running"], row["failed"]) for row in rows] == [(False, False)] * 3
    assert managed.events("container_crash") == []
    interrupt(go_up(managed))
    assert {row["name"] for row in managed.json("list") if row["running"]} == {MANAGER, "coder"}


def test_a_terminal_that_is_closed_ends_up_as_ctrl_c_does(managed: TestHive) -> None:
    up = go_up(managed, "--stop")
    up.send_signal(signal.SIGHUP)
    up.communicate(timeout=PATIENCE)
    assert up.returncode == 130
    assert [(row["running"], row["failed"]) for row in managed.json("list")] == [(False, False)]


def test_a_second_up_is_refused(managed: TestHive) -> None:
    go_up(managed)
    refused = managed.run("up", code=1).stderr
    assert "`hive up` is running already" in refused
    assert "hive up" in refused


@RUNNING
def test_one_agent_that_cannot_be_started_does_not_keep_the_others_down(managed: TestHive) -> None:
    interrupt(go_up(managed, "--stop"))
    managed.spawn("broken")
    managed.spawn("coder")
    managed.run("stop", "coder")
    managed.run("start", "coder")
    for name in ("broken", "coder"):
        os.kill(managed.pid(name), signal.SIGKILL)
        eventually(lambda name=name: not managed.agent(name)["running"])
    remove(managed.home / "containers" / "broken" / "generations")
    interrupt(go_up(managed))
    assert {row["name"] for row in managed.json("list") if row["running"]} >= {MANAGER, "coder"}
