"""A repository of hive's own is packed: it holds what it held, in fewer files."""

from __future__ import annotations

import shutil
import subprocess
from functools import partial
from pathlib import Path

import pytest

from hive_core.git import packing
from hive_core.git.repository import Repository
from tests.git import ENVIRONMENT, git
from tests.killing import died_at


@pytest.fixture
def scattered(tmp_path: Path) -> Repository:
    """A repository with a few hundred objects and tags, and one object that nothing refers to."""
    made = Repository.create(tmp_path / "r", {"agent.toml": b"x"}, "Begin")
    for number in range(100):
        sha = made.commit({"agent.toml": str(number).encode()}, f"change {number}")
        made.tag([f"deployed/{number}", f"approved/{number}"], sha)
    made.annotate("failed/1", made.main(), "why")
    return made


def test_it_holds_what_it_held_in_fewer_files(scattered: Repository) -> None:
    path = scattered.path
    loose = git(path, "hash-object", "-w", "agent.toml")
    before, tags = packing.measure(path), scattered.tags()
    assert before.worth_packing
    assert before.files > 500
    packing.pack(path)
    after = packing.measure(path)
    assert not after.worth_packing
    assert after.files < 5
    assert after.size < before.size / 2
    again = Repository(path)
    assert (again.main(), again.tags()) == (scattered.main(), tags)
    assert git(path, "fsck", "--strict") == ""
    # Somebody may be about to refer to it.
    assert git(path, "cat-file", "-t", loose) == "blob"
    # What was opened before goes on, and so does who writes.
    assert scattered.commit({"agent.toml": b"new"}, "after") == Repository(path).main()
    again.tag(["deployed/new"], again.main())
    assert "deployed/new" in Repository(path).tags()


def test_killed_anywhere_it_is_whole(scattered: Repository) -> None:
    path, tags = scattered.path, scattered.tags()
    files = ("git/packing", "hive_core/process", "git/writer")
    survived = set()
    for line in range(25, 110, 12):
        survived.add(died_at(line, partial(packing.pack, path), files))
        assert Repository(path).tags() == tags
        assert "missing" not in git(path, "fsck", "--full")
    assert False in survived
    packing.pack(path)
    assert packing.measure(path).files < 5


def test_whoever_asks_for_the_tags_while_it_is_packed_is_told_all_of_them(scattered: Repository) -> None:
    path, tags, loose = scattered.path, scattered.tags(), scattered.path / ".git/refs/tags"
    shutil.copytree(loose, kept := path / "kept")
    for _ in range(10):
        with subprocess.Popen(["git", "pack-refs", "--all", "--prune"], cwd=path, env=ENVIRONMENT) as git_at_work:
            while git_at_work.poll() is None:
                assert Repository(path).tags() == tags
        shutil.copytree(kept, loose, dirs_exist_ok=True)


def test_a_repository_that_is_small_is_left_as_it_is(tmp_path: Path) -> None:
    made = Repository.create(tmp_path / "r", {"agent.toml": b"x"}, "Begin")
    assert not packing.measure(made.path).worth_packing
