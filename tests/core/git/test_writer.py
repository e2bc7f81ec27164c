"""One writer at a time in a repository, and whose the lock files are that lie around in it."""

from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from hive_core.errors import Refused
from hive_core.git.writer import only_writer


@pytest.fixture
def dot_git(tmp_path: Path) -> Path:
    made = tmp_path / "repository" / ".git"
    (made / "refs" / "tags").mkdir(parents=True)
    return made


def test_what_a_dead_writer_had_locked_is_free_again(dot_git: Path) -> None:
    locks = [dot_git / "index.lock", dot_git / "refs" / "tags" / "a.lock"]
    for lock in (*locks, dot_git / "hive-unfinished"):
        lock.touch()
    (dot_git / "refs" / "tags" / "lock").write_text("a tag of that name")
    with only_writer(dot_git, "testing"):
        assert not any(lock.exists() for lock in locks)
    assert (dot_git / "refs" / "tags" / "lock").exists()
    assert not (dot_git / "hive-unfinished").exists()


def test_without_the_mark_of_one_they_are_somebodys_who_is_at_work(dot_git: Path) -> None:
    (dot_git / "index.lock").touch()
    with only_writer(dot_git, "testing"):
        assert (dot_git / "index.lock").exists()


def test_the_mark_is_there_as_long_as_it_writes_and_goes_when_it_fails(dot_git: Path) -> None:
    with pytest.raises(KeyError), only_writer(dot_git, "testing"):
        assert (dot_git / "hive-unfinished").exists()
        raise KeyError
    assert not (dot_git / "hive-unfinished").exists()


def test_a_failure_of_the_disk_is_told_with_its_reason(dot_git: Path) -> None:
    with pytest.raises(Refused, match="No space left on device") as refused, only_writer(dot_git, "testing"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert str(dot_git.parent) in str(refused.value)
    assert refused.value.hint is None


def test_a_lock_in_the_way_is_told_with_what_to_do(dot_git: Path) -> None:
    from hive_core.git.library import pygit2

    with pytest.raises(Refused) as refused, only_writer(dot_git, "testing"):
        raise pygit2.GitError("failed to lock file 'index.lock' for writing")
    assert refused.value.hint == "If no git is at work there, remove the .lock file it names."


def holds(lock: Path) -> bool:
    """Whether somebody has it; what asks is another opening of it, as another process would be."""
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def test_another_has_to_wait_as_long_as_it_writes(dot_git: Path) -> None:
    with only_writer(dot_git, "testing"):
        assert holds(dot_git / "hive-lock")
        assert (dot_git / "hive-lock").read_text().endswith(", testing")
    assert not holds(dot_git / "hive-lock")


def test_in_a_hive_nobody_who_may_read_a_repository_can_lock_it(dot_git: Path) -> None:
    locks = dot_git.parent.parent / "locks"
    locks.mkdir(mode=0o700)
    with only_writer(dot_git, "testing"):
        assert holds(locks / "in.repository.lock")
    assert not (dot_git / "hive-lock").exists()
