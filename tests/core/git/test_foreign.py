"""What is read of a repository that is not hive's, without a program."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.git.foreign import committed_at
from tests.git import git

ODD = 'A <b> "c"'


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "committer A <a@b> 17 +0000\n\ncommitter B <b@c> 18 +0000")
    return tmp_path


def head(repository: Path) -> str:
    return git(repository, "rev-parse", "HEAD")


def test_a_commit_s_time_is_what_git_says(repository: Path) -> None:
    assert committed_at(repository, head(repository)) == int(git(repository, "log", "-1", "--format=%ct"))


def test_its_author_s_time_is_not_taken_for_it(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "two", "--date=2001-02-03T04:05:06Z", f"--author={ODD}")
    assert committed_at(repository, head(repository)) == int(git(repository, "log", "-1", "--format=%ct"))


def test_a_bare_repository_and_a_packed_one_tell_it_too(repository: Path, tmp_path: Path) -> None:
    git(repository, "gc", "-q")
    git(repository, "clone", "-q", "--bare", ".", "bare")
    assert committed_at(repository, head(repository)) == committed_at(repository / "bare", head(repository)) is not None


@pytest.mark.parametrize("what", ["HEAD^{tree}", "HEAD:file"])
def test_what_is_no_commit_has_no_time(repository: Path, what: str) -> None:
    (repository / "file").write_text("committer A <a@b> 17 +0000\n")
    git(repository, "add", "file")
    git(repository, "commit", "-qm", "two")
    assert committed_at(repository, git(repository, "rev-parse", what)) is None


def test_what_is_not_there_has_no_time(repository: Path, tmp_path: Path) -> None:
    assert committed_at(repository, "a" * 40) is None
    assert committed_at(repository, "b" * 64) is None
    assert committed_at(tmp_path / "nowhere", "a" * 40) is None
