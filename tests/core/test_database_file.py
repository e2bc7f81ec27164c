"""The database's file: what is free in it goes back to the disk, also in one that an older hive has made."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hive_core import database_file
from hive_core.errors import Refused
from hive_core.slices import Slicer, shorten_log
from hive_core.store import Store

MIB = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "hive.db"


def filled(path: Path) -> Store:
    """A database of which nearly all is free."""
    store = Store(path)
    with store.write() as db:
        row = "insert into events (at, kind, data) values (0, 'started', ?)"
        db.executemany(row, [("x" * 10_000,) for _ in range(400)])
    with store.write() as db:
        db.execute("delete from events")
    return store


def older(path: Path) -> Store:
    """One whose file was begun without the means to become smaller."""
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table migrations (name text primary key, applied_at real not null) strict")
    return filled(path)


def test_what_is_free_is_given_back_but_for_what_is_used_again_at_once(path: Path) -> None:
    store = filled(path)
    before = database_file.space(store)
    assert before.gives
    assert before.free > 3 * MIB
    given = database_file.give_back(store, Slicer(store, lambda _: None))
    shorten_log(store)
    after = database_file.space(store)
    assert after.free <= database_file.KEPT_FREE
    assert given == before.total - after.total
    assert path.stat().st_size == after.total
    assert after.log == 0


def test_one_of_an_older_hive_gives_nothing_back_before_it_was_rewritten_once(path: Path) -> None:
    store = older(path)
    assert not database_file.space(store).gives
    assert database_file.give_back(store, Slicer(store, lambda _: None)) == 0
    assert database_file.rewrite(store, most=database_file.MOMENT_BYTES)
    after = database_file.space(Store(path))
    assert after.gives
    assert after.free == 0
    assert not database_file.rewrite(store)


def test_one_that_holds_too_much_for_a_moment_is_not_rewritten_without_being_asked(path: Path) -> None:
    store = older(path)
    assert not database_file.rewrite(store, most=1)
    assert not database_file.space(store).gives


def test_a_rewrite_that_takes_too_long_is_given_up_and_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = older(path)
    with store.write() as db:
        row = "insert into events (at, kind, data) values (0, 'started', 'x')"
        db.executemany(row, [() for _ in range(100_000)])
    monkeypatch.setattr(database_file, "LONGEST_REWRITE", -1.0)
    with pytest.raises(Refused, match="takes longer"):
        database_file.rewrite(store)
    with store.read() as db:
        assert db.execute("select count(*) from events").fetchone()[0] == 100_000
    assert not database_file.space(store).gives


def test_without_the_room_for_it_nothing_is_rewritten(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = older(path)
    monkeypatch.setattr(database_file, "KEPT_FREE", 2**60)
    with pytest.raises(Refused, match="Make room"):
        database_file.rewrite(store)


def test_whoever_reads_keeps_the_log_as_it_is_and_holds_up_nobody(path: Path) -> None:
    store = filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as reader:
        reader.execute("begin")
        reader.execute("select count(*) from events").fetchone()
        with store.write() as db:
            db.execute("insert into events (at, kind, data) values (0, 'started', '{}')")
        shorten_log(store)
        assert database_file.space(store).log > 0
        with store.read() as db:
            assert db.execute("pragma busy_timeout").fetchone()[0] == 60_000
