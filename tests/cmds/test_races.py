"""Two commands at once, and what a hostile agent leaves behind: no name is left stuck, nobody else is touched."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest

from hive_core import progress
from hive_core.events import emit
from hive_core.locks import file_lock
from hive_fleet.changes import removals
from tests.hives import PLAIN, TestHive, eventually, interrupt
from tests.needs import needs_root

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)


@pytest.mark.parametrize("verb", ["start", "restart", "rebuild"])
def test_whatever_waits_while_its_agent_is_destroyed_says_so_and_leaves_the_name_free(
    hive: TestHive, verb: str
) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    with inside.lock("coder", "a test"):
        late = hive.start(verb, "coder")
        assert late.stderr is not None
        assert "waiting for agent-coder" in late.stderr.readline()
        progress.carry_out(inside, "coder", removals.DESTROY, {"purge": False})
    _, told = late.communicate(timeout=60)
    assert late.returncode == 1, told
    assert "There is no agent 'coder'" in told
    hive.run("watch", "--once")
    hive.run("spawn", "coder")
    assert hive.agent("coder")["running"] is True


@pytest.mark.parametrize("verb", ["kill", "stop"])
def test_an_agent_is_ended_whoever_holds_it_and_for_whatever(hive: TestHive, verb: str) -> None:
    hive.spawn("coder")
    with hive.inside().lock("coder", "a test"):
        told = hive.run(verb, "coder").stderr
        assert "coder was ended while another command is at it" in told
        row = hive.agent("coder")
        assert (row["running"], row["failed"]) == (False, False)
    assert len(hive.events("killed")) == 1


STUBBORN = """
runner = "command"
command = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 1; done"]
"""


@RUNNING
def test_a_kill_ends_what_a_restart_waits_for_and_keeps_it_from_coming_back(hive: TestHive) -> None:
    hive.spawn("coder", STUBBORN)
    eventually(lambda: "ready" in hive.run("journal", "coder").stdout)
    restarting = hive.start("restart", "coder")
    eventually(lambda: hive.agent("coder").get("operation") == "restarting")
    hive.run("kill", "coder")
    restarting.communicate(timeout=60)
    row = hive.agent("coder")
    assert (row["running"], row["failed"], row.get("operation")) == (False, False, None)


def test_who_takes_in_a_proposal_holds_no_lock_of_the_agent(hive: TestHive) -> None:
    hive.spawn("coder")
    sha = hive.propose("coder", PLAIN + "# changed\n")
    first = str(hive.json("request-commit", "coder", sha)["id"])
    late = hive.propose("coder", PLAIN + "# changed again\n")
    # Whatever a proposal is made of, it is written into the applied repository under the lock of that alone.
    lock = hive.home / "locks/in.applied.coder.lock"
    with file_lock(lock, "a test"):
        requesting = hive.start("request-commit", "coder", late, "--json")
        waiting = f":{lock.stat().st_ino} "
        eventually(
            lambda: any("->" in line and waiting in line for line in Path("/proc/locks").read_text().splitlines())
        )
        for verb in ("kill", "start", "restart", "stop"):
            assert "waiting" not in hive.run(verb, "coder").stderr
    out, _ = requesting.communicate(timeout=60)
    assert json.loads(out)["status"] == "pending"
    hive.run("deny", first)


def test_two_spawns_of_one_name_make_one_agent(hive: TestHive) -> None:
    hive.configure("coder", PLAIN)
    codes = sorted(_codes(hive.start("spawn", "coder"), hive.start("spawn", "coder")))
    assert codes == [0, 1]
    assert [row["name"] for row in hive.json("list")] == ["coder"]


def test_a_revive_and_a_purge_at_once_end_in_one_of_both(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("destroy", "coder", "--yes")
    number = str(hive.json("revive", "coder")["id"])
    _codes(hive.start("approve", number), hive.start("purge", "coder", "--yes"))
    hive.run("watch", "--once")
    names = [row["name"] for row in hive.json("list")]
    if names:
        assert hive.agent("coder")["running"] is True
    assert hive.json("tombstones") == []


def test_an_approve_and_a_stop_at_once_leave_the_agent_stopped_with_what_was_approved(hive: TestHive) -> None:
    hive.spawn("coder")
    number = hive.request("coder", PLAIN + "# new\n")
    assert _codes(hive.start("approve", str(number)), hive.start("stop", "coder")) == [0, 0]
    agent = hive.agent("coder")
    assert agent["running"] is False
    assert hive.git("applied/coder", "rev-parse", "main") == hive.git(
        "applied/coder", "rev-parse", f"deployed/{number}"
    )


@pytest.mark.parametrize("first", ["approve", "destroy"])
def test_an_approve_and_a_destroy_at_once_leave_no_agent_and_a_request_that_can_be_closed(
    hive: TestHive, first: str
) -> None:
    hive.spawn("coder")
    number = str(hive.request("coder", PLAIN + "# new\n"))
    commands = {"approve": ["approve", number], "destroy": ["destroy", "coder", "--yes"]}
    second = next(verb for verb in commands if verb != first)
    codes = dict(zip((first, second), _codes(hive.start(*commands[first]), hive.start(*commands[second])), strict=True))
    assert codes["destroy"] == 0
    assert hive.json("list") == []
    assert [row["name"] for row in hive.json("tombstones")] == ["coder"]
    request = next(row for row in hive.json("approvals", "--all") if row["id"] == int(number))
    assert request["status"] == ("approved" if codes["approve"] == 0 else "pending"), codes
    if request["status"] == "pending":
        hive.run("deny", number)
    hive.run("watch", "--once")
    hive.run("spawn", "coder")
    assert hive.agent("coder")["running"] is True


def test_a_meta_update_and_an_approve_at_once_end_in_both(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    number = str(hive.request("coder", PLAIN + "# new\n"))
    assert _codes(hive.start("approve", number), hive.start("meta-update", "hive")) == [0, 0]
    lock = json.loads((hive.home / "meta" / "flake.lock").read_text())
    assert lock["nodes"]["agent-coder"]["locked"]["rev"] == hive.git("applied/coder", "rev-parse", "main")
    assert hive.git("meta", "status", "--porcelain") == ""
    assert hive.agent("coder")["deployed_sha"] == hive.git("applied/coder", "rev-parse", "main")[:12]
    assert all(hive.agent(name)["running"] is True for name in ("coder", "other"))


def test_a_second_up_is_refused_and_a_killed_one_replaced(hive: TestHive) -> None:
    hive.configure("manager", PLAIN)
    first = hive.start("up")
    assert first.stderr is not None
    while "hive is up" not in first.stderr.readline():
        continue
    threading.Thread(target=first.stderr.read, daemon=True).start()
    assert "`hive up` is running already" in hive.run("up", code=1).stderr
    for verb in ("watch", "gate"):
        refused = hive.run(verb, code=1).stderr
        assert f"`hive up` is running (process {first.pid}), and does what `hive {verb}` does." in refused
        assert "Ctrl-C" not in refused
    first.kill()
    first.wait()
    second = hive.start("up")
    assert second.stderr is not None
    while "hive is up" not in second.stderr.readline():
        continue
    assert interrupt(second) == 130
    assert hive.agent("manager")["running"] is True


def test_an_agent_whose_repository_is_gone_stops_neither_the_list_nor_the_watch_nor_its_own_end(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    (hive.home / "applied" / "coder").rename(hive.root / "stolen")
    assert hive.agent("other")["running"] is True
    hive.run("watch", "--once")
    told = hive.run("rebuild", "coder", code=1).stderr
    assert "bug" not in told
    hive.run("restart", "other")
    hive.run("destroy", "coder", "--yes")
    assert [row["name"] for row in hive.json("list")] == ["other"]


def test_a_lock_file_that_is_no_json_or_is_gone_is_restored_by_the_next_rebuild(hive: TestHive) -> None:
    hive.spawn("coder")
    lock = hive.home / "meta" / "flake.lock"
    before = lock.read_text()
    for damage in (lambda: lock.write_text("{ not json"), lock.unlink):
        damage()
        hive.run("list")
        hive.run("rebuild", "coder")
        assert lock.read_text() == before


def test_state_that_is_too_deep_for_a_path_can_be_destroyed_listed_and_purged(hive: TestHive) -> None:
    hive.spawn("coder")
    at = os.open(hive.home / "agents" / "coder" / "state", os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    hive.run("destroy", "coder", "--yes")
    assert [row["name"] for row in hive.json("tombstones")] == ["coder"]
    hive.run("purge", "coder", "--yes")
    assert not (hive.home / "agents" / "coder").exists()


@RUNNING
@needs_root
def test_nobody_becomes_the_user_of_a_destroyed_agent_but_itself(hive: TestHive) -> None:
    hive.spawn("coder")
    state = hive.home / "agents" / "coder" / "state"
    uid = state.stat().st_uid
    hive.run("destroy", "coder", "--yes")
    hive.spawn("other")
    assert (hive.home / "agents" / "other" / "state").stat().st_uid != uid
    hive.run("spawn", "coder")
    assert state.stat().st_uid == uid


def _codes(*processes):  # type: ignore[no-untyped-def]
    for process in processes:
        process.communicate(timeout=60)
    return [process.returncode for process in processes]


def test_an_up_whose_gate_cannot_listen_says_so_and_goes_on_when_it_can(hive: TestHive) -> None:
    hive.configure("manager", PLAIN)
    up = hive.start("up")
    assert up.stderr is not None
    while "hive is up" not in up.stderr.readline():
        continue
    sockets = hive.root / "run" / "sockets"
    sockets.rename(hive.root / "stolen")
    sockets.write_text("in the way")
    with hive.inside().store.write() as db:
        db.execute("insert into agents (name, desired, created_at) values ('coder', 'stopped', 0)")
        emit(db, "container_state_changed", about="coder", container={"name": "coder"})
    while "Not a directory" not in up.stderr.readline():
        continue
    sockets.unlink()
    (hive.root / "stolen").rename(sockets)
    eventually((hive.root / "run" / "agents" / "coder.sock").is_socket)
    assert interrupt(up) == 130
