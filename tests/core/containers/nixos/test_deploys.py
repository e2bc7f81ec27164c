"""A hive on this backend: what is approved is built by nix and runs, and what cannot be built changes nothing."""

from __future__ import annotations

import json
import shutil

import pytest

from hive_core.containers.base import HARNESS_UNITS
from tests.cmds.test_killed import assert_whole, killed_at, places_of
from tests.git import commit
from tests.hives import TestHive
from tests.needs import needs_nix

pytestmark = needs_nix
RUNS = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {}; exec sleep 1000"]\n'


@pytest.fixture
def made(without_agents: TestHive) -> TestHive:
    """A hive on a machine of its own, with an agent."""
    without_agents.spawn("coder", RUNS.format("one"))
    return without_agents


def running(hive: TestHive) -> str | None:
    """The revision that the agent runs."""
    container = hive.inside().host.container("coder")
    return container.revision if container is not None and container.running else None


def status(hive: TestHive, request: int) -> str:
    return next(str(row["status"]) for row in hive.json("approvals", "--all") if row["id"] == request)


def state(hive: TestHive) -> tuple[str, str, str, str | None]:
    """What must agree: applied main, the lock, the log's last line, and what runs."""
    locked = json.loads(hive.git("meta", "show", "main:flake.lock"))["nodes"]["agent-coder"]["locked"]["rev"]
    dirt = hive.git("meta", "status", "--porcelain") + hive.git("applied/coder", "status", "--porcelain")
    assert dirt == ""
    return (
        hive.git("applied/coder", "rev-parse", "main"),
        locked,
        hive.git("meta", "log", "-1", "--format=%s"),
        running(hive),
    )


def test_what_was_approved_is_built_and_runs(made: TestHive) -> None:
    request = made.request("coder", RUNS.format("two"), files={"agent.nix": '{ networking.hostName = "two"; }'})
    made.run("approve", str(request))
    main, locked, log, runs = state(made)
    assert main == locked == runs
    assert log == f"deploy coder deployed/{request} {main[:12]}"
    assert any(line.endswith(" two") for line in made.inside().host.journal("coder", 10, HARNESS_UNITS))


def test_a_request_shows_what_it_changes_of_the_system(made: TestHive) -> None:
    module = (
        "{ pkgs, ... }: { environment.systemPackages = [ pkgs.jq ]; networking.firewall.allowedTCPPorts = [ 80 ]; }"
    )
    request = str(made.request("coder", RUNS.format("one"), files={"agent.nix": module}))
    told = [one["text"] for one in made.json("show", request)["consequences"]]
    assert told == ["opens the ports TCP 80", "has the packages jq"]
    broken = str(made.request("coder", RUNS.format("one"), files={"agent.nix": "{ nothing.here = 1; }"}))
    assert "coder has a system that could not be looked at: " in made.run("show", broken).stdout


def test_a_build_that_fails_is_told_in_its_tag_and_everything_is_as_it_was(made: TestHive) -> None:
    before = state(made)
    request = made.request(
        "coder", RUNS.format("two"), files={"agent.nix": '{ system.extraBuild = "echo its words; exit 3"; }'}
    )
    assert "its words" in made.run("approve", str(request), code=1).stderr
    assert state(made) == before
    assert "its words" in made.git("applied/coder", "tag", "-l", "-n99", f"failed/{request}")
    assert status(made, request) == "failed"


def test_what_dies_at_once_is_told_by_its_own_last_words_alone(made: TestHive) -> None:
    dies = RUNS.format("two").replace("exec sleep 1000", "exit 3")
    request = made.request("coder", dies)
    made.run("approve", str(request), code=1)
    tag = made.git("applied/coder", "tag", "-l", "-n99", f"failed/{request}")
    # Its container's systemd had the last word.
    assert "exit code 3" in tag
    assert [line.rpartition("Z ")[2] for line in tag.splitlines() if "Z " in line] == ["two"]


def test_a_machine_that_cannot_build_leaves_the_request_pending(made: TestHive) -> None:
    before = state(made)
    request = made.request("coder", RUNS.format("two"))
    nix = made.root / "machine/bin/nix"
    for script in ("exit 127", "kill -9 $$"):
        nix.write_text(f"#!/bin/sh\n{script}\n")
        nix.chmod(0o755)
        made.run("approve", str(request), code=1)
        assert state(made) == before
        assert status(made, request) == "pending"
        assert made.run("doctor").stdout
    nix.unlink()
    made.run("approve", str(request))
    assert state(made)[3] not in (None, before[3])


# What hive calls, in this order, from the build to the switch.
STEPS = (
    ("nix", "eval"),
    ("nix-store", "--realise"),
    ("nix-env", "--set"),
    ("systemctl", "stop"),
    ("systemctl", "start"),
)


def kill_whoever_calls(hive: TestHive, program: str, word: str) -> None:
    """Have the next one that calls a program with this word die by SIGKILL, as the program begins its work."""
    path = hive.root / "machine/bin" / program
    real = hive.root / "machine/real" / program
    if not real.exists():
        real.parent.mkdir(exist_ok=True)
        shutil.copy(str(shutil.which(program)), real)
    path.unlink(missing_ok=True)
    once = f'case " $* " in *" {word} "*) ln -sf {real} {path}; kill -9 $PPID;; esac'
    path.write_text(f'#!/bin/sh\n{once}\nexec {real} "$@"\n')
    path.chmod(0o755)


def test_a_hive_that_is_killed_at_any_step_ends_in_all_new_or_all_old(made: TestHive) -> None:
    before = made.git("applied/coder", "rev-parse", "main")
    for program, word in STEPS:
        request = made.request("coder", RUNS.format(f"{program} {word}"))
        kill_whoever_calls(made, program, word)
        assert made.forked("approve", str(request)).returncode == -9
        target = made.git("applied/coder", "rev-parse", f"proposal/{request}")
        assert assert_whole(made, request, before, target) == "pending"
    # From here on it is decided, and nothing is left but to say so: places at which something was written just before.
    places = places_of(made, ("changes/deploys.py", "flake/meta.py"), "approve", str(request))
    for line in places[-4:-1]:
        before, request = target, made.request("coder", RUNS.format(line))
        assert killed_at(made, line, ("changes/deploys.py", "flake/meta.py"), "approve", str(request)) == -9
        target = made.git("applied/coder", "rev-parse", f"proposal/{request}")
        assert assert_whole(made, request, before, target) == "approved"


def test_a_moved_hive_rebuilds_everybody_in_one_go(made: TestHive) -> None:
    made.spawn("tester", RUNS.format("three"))
    newer = commit(made.root / "base", {"hive_agent/run.py": "newer"})
    made.run("meta-update", "hive")
    found = made.inside().host.containers()
    assert {name: container.hive for name, container in found.items()} == {"coder": newer, "tester": newer}


def test_the_way_back_and_the_end(made: TestHive) -> None:
    first = running(made)
    made.run("approve", str(made.request("coder", RUNS.format("two"))))
    made.run("rollback", "coder")
    host = made.inside().host
    assert running(made) not in (None, first)
    assert any(line.endswith(" one") for line in host.journal("coder", 1, HARNESS_UNITS))
    made.run("destroy", "coder", "--yes")
    assert host.containers() == {}
    made.run("revive", "coder")
