"""What the meta flake is locked from: any checkout that hive may run from; nix takes the lock as it is, uncalled."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from hive_core.containers.local import harness
from hive_core.context import Hive
from hive_core.git.revision import head_branch, named_revision
from hive_fleet.flake import flake, meta, upstream
from tests.hives import PLAIN, TestHive
from tests.needs import needs_nix, needs_root

ODD = ["feat/x+y", "a&b=c", "h#sh", "\u00fcml\u00e4ut", "per%20cent", "semi;colon", "at@x"]


def lock(hive: TestHive) -> bytes:
    return (hive.home / "meta" / "flake.lock").read_bytes()


def locked(hive: TestHive, name: str) -> str:
    return str(json.loads(lock(hive))["nodes"][name]["locked"]["rev"])


def checkout(hive: TestHive, where: str = "base", branch: str = "main") -> Path:
    """A repository with two commits for hive to be built from, and a hive that is told so."""
    folder = hive.root / where
    folder.mkdir(parents=True)
    hive.git(str(folder), "init", "-q", "-b", branch)
    for message in ("one", "two"):
        hive.git(str(folder), "commit", "-q", "--allow-empty", "-m", message)
    hive.extra["HIVE_FLAKE"] = flake.local_url(folder, "ref", branch)
    return folder


def head(hive: TestHive, folder: Path) -> str:
    return hive.git(str(folder), "rev-parse", "HEAD")


def run_from(hive: TestHive, folder: Path) -> Hive:
    """As a hive that runs from this checkout sees it."""
    from dataclasses import replace

    inside = hive.inside()
    return replace(inside, settings=inside.settings._replace(source=folder, environment=()))


# --- any checkout will do


def export(hive: TestHive) -> Path:
    """Where a container would find the harness of what is locked."""
    inside = hive.inside()
    return harness.export(inside.settings, meta.lock(inside))


@pytest.mark.remembered
@pytest.mark.parametrize("branch", ODD)
def test_an_agent_is_made_from_a_checkout_on_any_branch(hive: TestHive, branch: str) -> None:
    folder = checkout(hive, branch=branch)
    (folder / "hive_agent").mkdir()
    (folder / "hive_agent/run.py").write_text("pass\n")
    hive.git(str(folder), "add", "-A")
    hive.git(str(folder), "commit", "-q", "-m", "a harness")
    hive.spawn("coder")
    assert (export(hive) / "run.py").read_text() == "pass\n"
    assert locked(hive, "hive") == head(hive, folder)
    assert json.loads(lock(hive))["nodes"]["hive"]["original"]["ref"] == branch
    assert hive.json("inputs")[0]["url"] == hive.extra["HIVE_FLAKE"]
    hive.git(str(folder), "commit", "-q", "--allow-empty", "-m", "three")
    hive.run("meta-update", "hive")
    assert locked(hive, "hive") == head(hive, folder)


@pytest.mark.parametrize("where", ["sp ace", "\u00fcml\u00e4ut", "ha#sh", "q?m", "per%20cent", "a&b"])
def test_an_agent_is_made_whatever_the_folders_are_called(tmp_path: Path, where: str) -> None:
    hive = TestHive(tmp_path / where)
    try:
        folder = checkout(hive)
        hive.spawn("coder")
        assert locked(hive, "hive") == head(hive, folder)
        before = lock(hive)
        hive.run("rebuild", "coder")
        assert lock(hive) == before
        assert flake.local_path(hive.json("inputs")[1]["url"]) == hive.home / "applied" / "coder"
    finally:
        hive.close()


def test_an_agent_is_made_from_a_shallow_clone(hive: TestHive) -> None:
    folder = checkout(hive)
    shallow = hive.root / "shallow"
    hive.git(str(hive.root), "clone", "-q", "--depth=1", f"file://{folder}", str(shallow))
    hive.extra["HIVE_FLAKE"] = flake.local_url(shallow, "ref", "main")
    hive.spawn("coder")
    assert locked(hive, "hive") == head(hive, folder)


@needs_root
def test_an_agent_is_made_from_another_users_checkout(hive: TestHive) -> None:
    folder = checkout(hive)
    for path, _folders, files in os.walk(folder):
        for name in (path, *(os.path.join(path, file) for file in files)):
            os.chown(name, 65534, 65534)
    hive.spawn("coder")
    rev = subprocess.run(
        ["git", "-c", "safe.directory=*", "-C", folder, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    assert locked(hive, "hive") == rev.stdout.strip()


@pytest.mark.parametrize("branch", ["main", *ODD])
def test_the_branch_that_hive_runs_from_is_what_is_locked_and_what_is_newest(hive: TestHive, branch: str) -> None:
    folder = checkout(hive, branch=branch)
    found = upstream.of(run_from(hive, folder))
    assert (found.rev, found.url) == (head(hive, folder), flake.local_url(folder, "ref", branch))
    assert head_branch(folder) == branch
    assert named_revision(folder, branch) == upstream.newest(run_from(hive, folder)) == found.rev


def test_a_detached_head_is_locked_by_its_commit(hive: TestHive) -> None:
    folder = checkout(hive)
    hive.git(str(folder), "checkout", "-q", "--detach", "HEAD~1")
    found = upstream.of(run_from(hive, folder))
    assert found.url == flake.local_url(folder, "rev", head(hive, folder))
    assert head_branch(folder) is None


def test_a_bare_repository_and_one_with_packed_branches_are_read(hive: TestHive) -> None:
    folder = checkout(hive)
    hive.git(str(folder), "pack-refs", "--all")
    bare = hive.root / "bare.git"
    hive.git(str(hive.root), "clone", "-q", "--bare", str(folder), str(bare))
    assert named_revision(bare, "main") == named_revision(folder, "main") == head(hive, folder)
    assert named_revision(folder, "nothing") is None


def test_an_installed_hive_is_newer_than_any_lock_until_its_version_is_locked(hive: TestHive) -> None:
    inside = run_from(hive, hive.root / "no-checkout")
    before = upstream.newest(inside)
    assert before is not None
    assert not (hive.home / "base").exists(), "to look makes nothing"
    hive.home.mkdir()
    assert upstream.of(inside).rev == upstream.newest(inside) != before


# --- what no nix is needed for


def test_nix_is_never_called(hive: TestHive) -> None:
    programs = hive.root / "bin"
    programs.mkdir()
    nix = programs / "nix"
    nix.write_text(f"#!/bin/sh\necho called >>{hive.root}/called\nexit 1\n")
    nix.chmod(0o755)
    hive.extra["PATH"] = f"{programs}:{os.environ['PATH']}"
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", "runner = 'command'\ncommand = ['sleep', 'infinity']\n")))
    for command in (["meta-update", "hive"], ["update", "--stale"], ["doctor"], ["destroy", "coder", "--yes"]):
        hive.run(*command)
    assert not (hive.root / "called").exists()


@pytest.mark.parametrize("verb", ["list", "doctor", "inputs", "approvals", "tombstones", "questions", "recent"])
def test_to_look_at_a_hive_makes_none(hive: TestHive, verb: str) -> None:
    hive.run(verb)
    assert not hive.home.exists()
    assert not (hive.root / "run").exists()


def test_a_home_that_is_no_folder_is_refused_by_who_only_looks_too(hive: TestHive) -> None:
    hive.home.write_text("a file")
    assert "cannot be used as HIVE_HOME" in hive.run("list", code=1).stderr
    hive.home.unlink()


# --- with nix


def nix(hive: TestHive, *arguments: str) -> str:
    """Run nix on the meta flake, with a configuration and a home of its own."""
    wanted = "experimental-features = nix-command flakes\nflake-registry =\nbuild-users-group =\nsandbox = false\n"
    environment = {**hive.environment, "NIX_CONFIG": wanted, "HOME": str(hive.root / "nix")}
    done = subprocess.run(
        ["nix", *arguments], cwd=hive.home / "meta", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.remembered
@needs_nix
@pytest.mark.parametrize("branch", ["main", "feat/x"])
def test_nix_takes_the_lock_that_hive_wrote_as_it_is(hive: TestHive, branch: str) -> None:
    checkout(hive, branch=branch)
    for name in ("coder", "tester"):
        hive.spawn(name)
    hive.run("approve", str(hive.request("coder", "runner = 'command'\ncommand = ['sleep', 'infinity']\n")))
    hive.run("meta-update", "hive")
    written = lock(hive)
    shown = json.loads(nix(hive, "flake", "metadata", "--json"))
    assert set(shown["locks"]["nodes"]) == {"root", "hive", "agent-coder", "agent-tester"}
    nix(hive, "flake", "lock")
    assert lock(hive) == written


@pytest.mark.remembered
@needs_nix
def test_the_flake_gives_every_agents_configuration_at_the_revision_that_is_locked(hive: TestHive) -> None:
    checkout(hive)
    hive.spawn("coder")
    wanted = locked(hive, "agent-coder")
    hive.git("applied/coder", "commit", "-q", "--allow-empty", "-m", "not locked")
    assert json.loads(nix(hive, "eval", "--json", ".#agents.coder.rev")) == wanted


@needs_nix
def test_hive_goes_on_with_a_lock_that_nix_wrote(hive: TestHive) -> None:
    checkout(hive)
    hive.spawn("coder")
    before = json.loads(lock(hive))["nodes"]
    (hive.home / "meta" / "flake.lock").unlink()
    nix(hive, "flake", "lock")
    hive.git("meta", "commit", "-qam", "by nix")
    by_nix = json.loads(lock(hive))["nodes"]
    for name, node in before.items():
        for part in ("original", "locked"):
            told = by_nix[name].get(part, {})
            assert {key: told.get(key) for key in node.get(part, {})} == node.get(part, {})
    assert "narHash" in by_nix["hive"]["locked"]
    hive.spawn("tester")
    nodes = json.loads(lock(hive))["nodes"]
    assert (nodes["agent-coder"], nodes["hive"]) == (by_nix["agent-coder"], by_nix["hive"])


@pytest.mark.remembered
def test_an_agent_is_made_without_asking_git_anything(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = checkout(hive)
    hive.configure("coder", PLAIN)
    newest = head(hive, folder)
    monkeypatch.setenv("PATH", str(folder))
    hive.asked("spawn", name="coder")
    assert locked(hive, "hive") == newest


def test_a_checkout_of_a_kind_that_only_git_reads_is_read_by_git(hive: TestHive) -> None:
    folder = hive.root / "base"
    folder.mkdir()
    hive.git(str(folder), "init", "-q", "-b", "main", "--object-format=sha256")
    hive.git(str(folder), "commit", "-q", "--allow-empty", "-m", "one")
    found = upstream.of(run_from(hive, folder))
    assert (found.rev, found.committed_at) == (
        head(hive, folder),
        int(hive.git(str(folder), "log", "-1", "--format=%ct")),
    )


@pytest.mark.remembered
def test_where_a_tag_has_the_branchs_name_the_branch_is_meant(hive: TestHive) -> None:
    folder = checkout(hive)
    hive.git(str(folder), "tag", "main", "HEAD~1")
    hive.spawn("coder")
    # As nix means it, and as what is newest is known.
    assert locked(hive, "hive") == hive.git(str(folder), "rev-parse", "refs/heads/main")
    assert hive.json("inputs")[0]["rev"] == locked(hive, "hive")[:12]
