"""How a process hears of commits: from inotify, and, where its user has none left, by looking for itself."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hive_core import commits
from hive_core.commits import ByInotify, ByLooking, Commits, commits_of
from hive_core.events import emit
from hive_core.signals import readable
from hive_core.store import Store
from tests.hives import PATIENCE


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = Store(tmp_path / "hive.db")
    commit(made)
    yield made
    made.close()


def commit(store: Store) -> None:
    with store.write() as db:
        emit(db, "started", agent="coder")


def hears(found: Commits) -> bool:
    return bool(readable([found.fileno()], PATIENCE))


@pytest.mark.parametrize("how", [ByInotify, ByLooking])
def test_a_commit_is_heard_of_and_forgotten_when_it_was_read(
    store: Store, monkeypatch: pytest.MonkeyPatch, how: type[ByInotify | ByLooking]
) -> None:
    monkeypatch.setattr(commits, "PERIOD", 0.005)
    with closing(how(store)) as found:
        assert not readable([found.fileno()], 0)
        for _ in range(2):
            commit(store)
            assert hears(found)
            found.read()
            while readable([found.fileno()], 0):
                found.read()


@pytest.mark.parametrize("how", [ByInotify, ByLooking])
def test_another_file_in_the_place_of_the_database_is_heard_of(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: type[ByInotify | ByLooking]
) -> None:
    monkeypatch.setattr(commits, "PERIOD", 0.005)
    with closing(how(store)) as found:
        store.path.rename(tmp_path / "aside")
        assert hears(found)
        assert found.read()[1] is True


def test_what_is_heard_before_a_commit_counts_says_that_it_is_to_come(store: Store) -> None:
    with closing(ByInotify(store)) as found:
        with store.write() as db:
            emit(db, "started", agent="coder")
            # Much, so that the log is written to before the end of it.
            db.executemany("insert into snapshots values (?, ?)", [(str(each), "x" * 4096) for each in range(3000)])
            assert hears(found)
            assert found.read() == (True, False)
        assert hears(found)
        assert found.read()[0] is False


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOSPC])
def test_who_has_used_up_their_inotify_looks_for_themselves(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    refuse(monkeypatch, number)
    with closing(commits_of(store)) as found:
        assert isinstance(found, ByLooking)
        assert found.slow


def test_what_else_the_machine_refuses_is_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(commits_of(store)) as found:
        assert isinstance(found, ByInotify)
        assert not found.slow
    refuse(monkeypatch, errno.ENOMEM)
    with pytest.raises(OSError, match=os.strerror(errno.ENOMEM)):
        commits_of(store)


def refuse(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Have the kernel give no inotify."""
    import inotify_simple

    def no(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(inotify_simple, "INotify", no)


def test_many_signals_that_nobody_reads_hold_up_nobody(store: Store) -> None:
    with closing(ByLooking(store)) as found:
        for _ in range(70_000):
            found._signal()
        assert hears(found)
