"""What runs is what is locked, the harness included: nothing but a moved lock changes it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from hive_core.context import Hive
from hive_fleet.flake import flake, meta, upstream
from tests.hives import PLAIN, TestHive, eventually, harness_repository
from tests.needs import needs_root

SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "cat /hive/hive_agent/MARK; exec sleep infinity"]\n'


@pytest.fixture
def checkout(hive: TestHive) -> Path:
    """A repository that the hive is built from, whose harness says which one it is."""
    folder = hive.root / "checkout"
    (folder / "hive_agent").mkdir(parents=True)
    hive.git(str(folder), "init", "-q", "-b", "main")
    hive.extra["HIVE_FLAKE"] = flake.local_url(folder, "ref", "main")
    commit(hive, "one")
    return folder


def commit(hive: TestHive, mark: str) -> str:
    """A newer harness, as a pull brings one; its sha."""
    folder = hive.root / "checkout"
    (folder / "hive_agent/MARK").write_text(f"harness {mark}\n")
    hive.git(str(folder), "add", "-A")
    hive.git(str(folder), "commit", "-qm", mark)
    return hive.git(str(folder), "rev-parse", "HEAD")


def ran(hive: TestHive, starts: int) -> list[str]:
    """Which harnesses an agent was started with, in order, as soon as so many starts have said it."""
    host = hive.inside().host

    def said() -> list[str]:
        return [line.rpartition(" ")[2] for line in host.journal("coder", 1000) if " harness " in line]

    return eventually(lambda: said() if len(said()) >= starts else [])


def exports(hive: TestHive) -> list[str]:
    return sorted(path.name for path in (hive.home / "revisions").iterdir())


def locked(hive: TestHive) -> str:
    return str(json.loads(hive.git("meta", "show", "main:flake.lock"))["nodes"]["hive"]["locked"]["rev"])


def test_a_pull_or_an_edit_changes_nothing_that_runs_until_the_lock_is_moved(hive: TestHive, checkout: Path) -> None:
    hive.spawn("coder", SAY)
    commit(hive, "two")
    (checkout / "hive_agent/MARK").write_text("harness edited\n")
    hive.run("restart", "coder")
    # What is ended sooner than that has said nothing.
    assert ran(hive, 2) == ["one"] * 2
    hive.run("kill", "coder")
    hive.run("start", "coder")
    assert ran(hive, 3) == ["one"] * 3
    hive.run("rebuild", "coder")
    assert ran(hive, 4) == ["one"] * 4
    hive.run("approve", str(hive.request("coder", SAY + "# another\n")))
    assert ran(hive, 5) == ["one"] * 5
    hive.run("meta-update", "hive")
    assert ran(hive, 6)[5:] == ["two"]
    three = commit(hive, "three")
    hive.run("update", "--stale")
    assert ran(hive, 7)[6:] == ["three"]
    hive.run("restart", "coder")
    assert ran(hive, 8)[6:] == ["three"] * 2
    assert exports(hive) == [three]


def test_an_agent_that_could_not_be_rebuilt_keeps_the_harness_it_runs_with(hive: TestHive, checkout: Path) -> None:
    one = locked_by_spawning(hive, "coder", "tester")
    (hive.home / "applied/coder/agent.toml").write_text('runner = "nonsense"\n')
    hive.git("applied/coder", "commit", "-qam", "past hive")
    two = commit(hive, "two")
    hive.run("meta-update", "hive", code=1)
    found = hive.inside().host.containers()
    assert (found["coder"].running, found["coder"].hive, found["tester"].hive) == (True, one, two)
    assert exports(hive) == sorted([one, two])
    assert [row["name"] for row in hive.json("list") if row["needs_update"]] == ["coder"]


def locked_by_spawning(hive: TestHive, *names: str) -> str:
    for name in names:
        hive.spawn(name, SAY)
    return locked(hive)


@pytest.mark.parametrize("line", [20, 60, 90, 120])
def test_what_starts_after_a_killed_update_has_the_harness_that_is_locked(
    hive: TestHive, checkout: Path, line: int
) -> None:
    marks = {locked_by_spawning(hive, "coder"): "one", commit(hive, "two"): "two"}
    assert hive.forked("meta-update", "hive", kill_at=(line, ["flake/meta.py"])).returncode == -9
    hive.run("restart", "coder")
    ran_before = ran(hive, 2)
    assert ran_before[-1] == marks[locked(hive)]
    hive.run("meta-update", "hive")
    assert ran(hive, len(ran_before) + 1)[-1] == "two"


def test_a_locked_commit_that_is_gone_is_told_and_nothing_that_runs_is_touched(hive: TestHive, checkout: Path) -> None:
    locked_by_spawning(hive, "coder")
    lost = commit(hive, "two")
    hive.run("meta-update", "hive")
    pid = hive.pid("coder")
    subprocess.run(["chmod", "-R", "u+w", hive.home / "revisions"], check=True)
    (hive.home / "revisions" / lost).rename(hive.root / "aside")
    checkout.rename(hive.root / "elsewhere")
    told = hive.run("rebuild", "coder", code=1).stderr
    assert f"The revision {lost[:12]} of hive" in told
    assert "`hive meta-update hive`" in told
    assert hive.pid("coder") == pid
    (hive.root / "elsewhere").rename(checkout)
    hive.run("rebuild", "coder")
    assert exports(hive) == [lost]


def test_a_base_that_is_no_hive_runs_no_harness_and_says_so(hive: TestHive, checkout: Path) -> None:
    hive.git(str(checkout), "rm", "-rq", "hive_agent")
    hive.git(str(checkout), "commit", "-qm", "not hive")
    hive.spawn("coder", PLAIN)
    hive.configure("tester", 'runner = "claude"\n')
    assert "that the meta flake locks for hive holds no hive" in hive.run("spawn", "tester", code=1).stderr


# --- where hive runs from


def run_from(hive: TestHive, folder: Path) -> Hive:
    """As a hive that runs from this folder sees it."""
    from dataclasses import replace

    inside = hive.inside()
    return replace(inside, settings=inside.settings._replace(source=folder, environment=()))


def test_changes_that_no_commit_holds_are_seen(hive: TestHive) -> None:
    (hive.root / "checkout").mkdir()
    folder = harness_repository(hive.root / "checkout")
    inside = run_from(hive, folder)
    assert not upstream.uncommitted(inside)
    (folder / "README").write_text("nothing that agents are given")
    assert not upstream.uncommitted(inside)
    (folder / "hive_agent/new.py").write_text("")
    assert upstream.uncommitted(inside)


def test_an_installed_hive_is_locked_by_its_version_and_what_its_files_hold(hive: TestHive) -> None:
    from hive_core.containers.local import harness

    folder = hive.root / "site-packages"
    (folder / "hive_agent").mkdir(parents=True)
    hive.home.mkdir()
    inside, seen = run_from(hive, folder), []
    for code in ("one", "two"):
        (folder / "hive_agent/run.py").write_text(code)
        assert upstream.newest(inside) not in seen
        lock = meta.lock(inside)
        assert upstream.newest(inside) == lock.hive
        assert (harness.export(inside.settings, lock) / "run.py").read_text() == code
        seen.append(lock.hive)
    (folder / "hive_agent/run.py").rename(folder / "hive_agent/go.py")
    assert [path.name for path in harness.export(inside.settings, meta.lock(inside)).iterdir()] == ["go.py"]
    assert len(set(seen)) == 2


@needs_root
def test_a_harness_that_only_root_can_read_in_its_checkout_is_run_by_agents(hive: TestHive, checkout: Path) -> None:
    subprocess.run(["chmod", "-R", "go-rwx", checkout], check=True)
    hive.spawn("coder", SAY)
    assert ran(hive, 1) == ["one"]
