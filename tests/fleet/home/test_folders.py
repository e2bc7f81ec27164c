"""An agent's folders, where somebody hostile has put something else in their place."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hives import PLAIN, TestHive


@pytest.fixture
def private(tmp_path: Path) -> Path:
    made = tmp_path / "private"
    made.mkdir(mode=0o700)
    return made


@pytest.mark.remembered
def test_a_link_in_the_place_of_the_managers_clone_is_not_followed(hive: TestHive, private: Path) -> None:
    # As a manager can that is the same user as hive.
    proposed = hive.home / "proposed"
    proposed.mkdir(parents=True)
    (proposed / "coder").symlink_to(private)
    hive.configure("coder", PLAIN)
    assert "is no folder, but a link or a file" in hive.run("spawn", "coder", code=1).stderr
    assert list(private.iterdir()) == []
    assert stat.S_IMODE(private.stat().st_mode) == 0o700
    (proposed / "coder").unlink()
    hive.run("approve", "1")
    assert (proposed / "coder" / "config" / "agent.toml").is_file()


@pytest.mark.remembered
def test_no_commit_is_taken_by_a_link_and_a_purge_removes_the_link_alone(hive: TestHive, private: Path) -> None:
    hive.spawn("coder")
    sha = hive.propose("coder", PLAIN + "stuck_minutes = 5\n")
    (hive.home / "agents" / "coder" / "config").rename(private / "config")
    clone = hive.home / "proposed" / "coder"
    clone.rename(hive.root / "away")
    clone.symlink_to(private)
    hive.run("request-commit", "coder", sha, code=1)
    hive.run("destroy", "coder", "--purge", "--yes")
    assert not clone.is_symlink()
    assert (private / "config" / "agent.toml").is_file()


@pytest.mark.remembered
def test_what_the_manager_may_look_at_it_cannot_keep_locked(hive: TestHive) -> None:
    hive.spawn("coder")
    seen = [hive.home / place for place in ("applied", "proposed", "meta")]
    with ExitStack() as held:
        for path in (*seen, *(path for folder in seen for path in folder.rglob("*") if not path.is_symlink())):
            descriptor = os.open(path, os.O_RDONLY)
            held.callback(os.close, descriptor)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        hive.run("approve", str(hive.request("coder", PLAIN + "stuck_minutes = 5\n")))
        hive.spawn("writer")
        assert hive.run("vacuum").returncode == 0


def test_an_agent_that_closed_its_own_folders_can_be_started_again(hive: TestHive) -> None:
    hive.spawn("coder")
    for own in ("state", "claude"):
        (hive.home / "agents" / "coder" / own).chmod(0)
    hive.run("restart", "coder")
    assert hive.agent("coder")["running"]
    assert {stat.S_IMODE((hive.home / "agents" / "coder" / own).stat().st_mode) for own in ("state", "claude")} == {
        0o700
    }
