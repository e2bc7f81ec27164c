"""What dies as soon as it was deployed has failed like a build; what lives, ends well, or is stopped has not."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from typing import Any

import pytest

from hive_agent import MANAGER
from tests.hives import PLAIN, TestHive, eventually

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
PATIENT = 'runner = "command"\nsettle_seconds = 60\ncommand = ["sh", "-c", "{0}"]\n'
WAITS = PATIENT.format("echo here; exec sleep infinity")


@pytest.fixture
def coder(hive: TestHive) -> TestHive:
    hive.spawn("coder")
    return hive


def status(hive: TestHive, number: int) -> str:
    return str(hive.json("show", str(number))["approval"]["status"])


def told(hive: TestHive, event: str) -> list[dict[str, Any]]:
    """What the manager was told of one kind."""
    messages = [json.loads(body) for body in hive.inbox(MANAGER) if body.startswith("{")]
    return [message for message in messages if message["event"] == event]


@pytest.mark.parametrize(
    ("script", "cause"),
    [
        pytest.param("echo no luck; exit 3", "exit code 3", marks=RUNNING),
        ("echo no luck; kill -KILL $$", "SIGKILL"),
        ("exit 1", "exit code 1"),
    ],
)
def test_what_dies_at_once_fails_its_request_and_the_old_one_runs_again(
    coder: TestHive, script: str, cause: str
) -> None:
    before = coder.agent("coder")["deployed_sha"]
    lock = (coder.home / "meta" / "flake.lock").read_bytes()
    number = coder.request("coder", PATIENT.format(script))
    refused = coder.run("approve", str(number), code=1).stderr
    words = "no luck" if "no luck" in script else "It wrote nothing"
    for place in (refused, coder.git("applied/coder", "show", f"failed/{number}")):
        assert cause in place
        assert words in place
    row = coder.agent("coder")
    assert (row["running"], row["deployed_sha"], row["failed"]) == (True, before, False)
    assert (status(coder, number), f"Request {number}: failed." in refused) == ("failed", True)
    assert (coder.home / "meta" / "flake.lock").read_bytes() == lock
    assert coder.git("applied/coder", "rev-parse", "--short=12", "main") == before
    assert coder.events("container_crash") == []


def test_the_failure_is_told_to_the_manager_once(coder: TestHive) -> None:
    number = coder.request("coder", PATIENT.format("echo no luck; exit 3"))
    coder.run("approve", str(number), code=1)
    (rebuilt,) = told(coder, "rebuilt")
    assert (rebuilt["agent"], rebuilt["ok"], rebuilt["tag"]) == ("coder", False, f"failed/{number}")
    assert "exit code 3" in rebuilt["note"]
    assert "no luck" in rebuilt["note"]
    assert [row["status"] for row in told(coder, "approval_resolved") if row["id"] == number] == ["failed"]
    assert [event["ok"] for event in coder.events("rebuilt")] == [False]
    assert "not rebuilt: coder ended" in coder.run("events", "--since", "0").stdout


def test_what_ends_with_0_has_done_its_work(coder: TestHive) -> None:
    number = coder.request("coder", PATIENT.format("echo done; exit 0"))
    coder.run("approve", str(number))
    assert status(coder, number) == "approved"
    assert [row["ok"] for row in told(coder, "rebuilt")] == [True]


@RUNNING
def test_what_dies_later_than_its_settling_time_has_crashed(coder: TestHive) -> None:
    late = 'runner = "command"\nsettle_seconds = 0\ncommand = ["sh", "-c", "read -r line </state/end; exit 3"]\n'
    os.mkfifo(coder.home / "agents" / "coder" / "state" / "end", 0o666)
    (coder.home / "agents" / "coder" / "state" / "end").chmod(0o666)
    number = coder.request("coder", late)
    coder.run("approve", str(number))
    (coder.home / "agents" / "coder" / "state" / "end").write_text("now\n")
    eventually(lambda: coder.agent("coder")["failed"])
    assert status(coder, number) == "approved"


def test_an_agent_that_is_stopped_has_nothing_to_settle(coder: TestHive) -> None:
    coder.run("stop", "coder")
    number = coder.request("coder", PATIENT.format("exit 3"))
    coder.run("approve", str(number))
    assert (status(coder, number), coder.agent("coder")["running"]) == ("approved", False)


def settling(hive: TestHive) -> tuple[subprocess.Popen[str], int]:
    """An approval that waits for what it has deployed to settle, and the request's id."""
    number = hive.request("coder", WAITS)
    process = hive.start("approve", str(number))
    eventually(lambda: "here" in hive.run("journal", "coder").stdout)
    return process, number


@RUNNING
def test_who_destroys_an_agent_meanwhile_does_not_wait_either(coder: TestHive) -> None:
    process, number = settling(coder)
    coder.run("destroy", "coder", "--yes")
    process.communicate()
    assert (status(coder, number), coder.json("list")) == ("approved", [])


@pytest.mark.parametrize("verb", ["kill", "stop"])
def test_who_ends_an_agent_meanwhile_does_not_wait_for_it_to_settle(coder: TestHive, verb: str) -> None:
    process, number = settling(coder)
    coder.run(verb, "coder")
    process.communicate()
    assert (process.returncode, status(coder, number)) == (0, "approved")
    row = coder.agent("coder")
    assert (row["running"], row["failed"]) == (False, False)
    assert coder.events("container_crash") == []


def test_a_hive_that_is_killed_while_it_waits_leaves_all_old(coder: TestHive) -> None:
    before = coder.agent("coder")["deployed_sha"]
    process, number = settling(coder)
    process.kill()
    process.communicate()
    row = coder.agent("coder")
    assert (row["running"], row["deployed_sha"], status(coder, number)) == (True, before, "pending")
    assert coder.git("applied/coder", "tag").splitlines() == [f"proposal/{number}"]
    assert "here" not in coder.run("journal", "coder", "--lines", "1").stdout


@RUNNING
def test_a_supervisor_that_is_killed_meanwhile_says_nothing_of_the_configuration(coder: TestHive) -> None:
    before = coder.agent("coder")["deployed_sha"]
    process, number = settling(coder)
    os.kill(coder.pid("coder"), signal.SIGKILL)
    told = process.communicate()[1]
    assert (process.returncode, status(coder, number)) == (1, "pending")
    assert "its supervisor was killed" in told
    row = coder.agent("coder")
    assert (row["running"], row["deployed_sha"]) == (True, before)


def test_an_interrupt_while_it_waits_leaves_all_old(coder: TestHive) -> None:
    process, number = settling(coder)
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert (process.returncode, status(coder, number)) == (130, "pending")
    assert coder.agent("coder")["running"] is True


def test_nobody_else_waits_while_one_settles(coder: TestHive) -> None:
    coder.spawn("tester")
    process, _number = settling(coder)
    assert coder.git("meta", "status", "--porcelain") == "", "what is only tried stays in the lock"
    coder.run("approve", str(coder.request("tester", PLAIN + 'model = "x"\n')))
    coder.run("rebuild", "tester")
    assert process.poll() is None
    coder.run("kill", "coder")


@RUNNING
def test_an_input_that_was_locked_meanwhile_goes_back_with_the_rest(coder: TestHive) -> None:
    """`meta-update` of the very agent finds its new commit while that is being tried."""
    os.mkfifo(coder.home / "agents" / "coder" / "state" / "end")
    (coder.home / "agents" / "coder" / "state" / "end").chmod(0o666)
    before = coder.git("applied/coder", "rev-parse", "main")
    number = coder.request("coder", PATIENT.format("echo here; read -r line </state/end; exit 3"))
    process = coder.start("approve", str(number))
    eventually(lambda: "here" in coder.run("journal", "coder").stdout)
    moving = coder.start("meta-update", "agent-coder")
    eventually(lambda: coder.git("meta", "log", "--format=%s").startswith("lock update"))
    (coder.home / "agents" / "coder" / "state" / "end").write_text("now\n")
    process.communicate()
    moving.communicate()
    assert (status(coder, number), coder.git("applied/coder", "rev-parse", "main")) == ("failed", before)
    lock = json.loads((coder.home / "meta" / "flake.lock").read_text())
    assert lock["nodes"]["agent-coder"]["locked"]["rev"] == before
    assert coder.agent("coder")["deployed_sha"] == before[:12]


@RUNNING
def test_the_wait_ends_when_the_turn_loop_says_that_it_is_there(coder: TestHive) -> None:
    """Well before the minute that it is given: the approval has ended when the turn loop has been heard."""
    coder.start("gate")
    eventually((coder.root / "run" / "agents" / "coder.sock").exists)
    number = coder.request("coder", 'runner = "exec"\nsettle_seconds = 60\ncommand = ["cat"]\n')
    began = time.monotonic()
    process = coder.start("approve", str(number))
    ended = os.pidfd_open(process.pid)
    assert select.select([ended], [], [], 50)[0], "it waited to the end of its settling time"
    os.close(ended)
    process.communicate()
    assert (process.returncode, status(coder, number)) == (0, "approved")
    assert time.monotonic() - began < 60
    assert coder.agent("coder")["turn"] is not None
