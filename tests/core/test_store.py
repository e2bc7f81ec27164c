"""The store: transactions, migrations from every age of the schema, and many processes at once."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
import warnings
from pathlib import Path

import pytest

from hive_core import migrations
from hive_core.errors import Refused
from hive_core.events import emit, newest, since
from hive_core.store import Connection, Store
from tests.at_once import at_once


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "hive.db")


def test_a_change_and_its_event_vanish_together_when_the_block_raises(store: Store) -> None:
    with pytest.raises(RuntimeError, match="half-way"), store.write() as db:
        db.execute("insert into agents (name, desired, created_at) values ('a', 'running', 0)")
        emit(db, "spawned", agent="a")
        raise RuntimeError("half-way")
    with store.read() as db:
        assert db.execute("select count(*) from agents").fetchone()[0] == 0
        assert newest(db) == 0


def test_a_write_inside_a_write_joins_it(store: Store) -> None:
    with pytest.raises(RuntimeError, match="outer"), store.write():
        with store.write() as inner:
            emit(inner, "spawned", agent="a")
        raise RuntimeError("outer")
    with store.read() as db:
        assert newest(db) == 0


def test_an_event_outside_a_transaction_is_a_bug(store: Store) -> None:
    with pytest.raises(AssertionError, match="outside"):
        emit(store.connection(), "spawned", agent="a")


def test_an_event_without_a_field_of_its_kind_is_a_bug(store: Store) -> None:
    with store.write() as db, pytest.raises(AssertionError, match="cause"):
        emit(db, "container_crash", agent="a")


def test_a_seq_is_never_used_twice_even_when_the_newest_event_was_removed(store: Store) -> None:
    with store.write() as db:
        first = emit(db, "spawned", agent="a")
        db.execute("delete from events")
        assert emit(db, "spawned", agent="b") > first


def test_events_come_in_order_and_by_kind(store: Store) -> None:
    with store.write() as db:
        for kind in ("spawned", "started", "spawned"):
            emit(db, kind, agent="a")
    with store.read() as db:
        assert [event.kind for event in since(db, 1)] == ["started", "spawned"]
        assert [event.seq for event in since(db, 0, ["spawned"])] == [1, 3]


def test_the_database_is_readable_by_nobody_else(store: Store) -> None:
    store.connection()
    assert store.path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("age", range(len(migrations.STEPS) + 1))
def test_every_older_schema_becomes_the_newest_one(tmp_path: Path, age: int) -> None:
    old, blank = tmp_path / "old.db", tmp_path / "blank.db"
    done = dict(list(migrations.STEPS.items())[:age])
    Store(old, done).connection()
    assert _schema(Store(old)) == _schema(Store(blank))


def _schema(store: Store) -> list[str]:
    return [row[0] for row in store.connection().execute("select sql from sqlite_master where sql is not null")]


def test_a_step_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    steps = {**migrations.STEPS, "m999": "create table t (a);\ninsert into nowhere values (1);"}
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        Store(tmp_path / "hive.db", steps).connection()
    assert "t" not in _schema(Store(tmp_path / "hive.db"))


def test_a_database_of_a_newer_hive_is_refused_with_what_to_do(store: Store) -> None:
    store.connection().execute("insert into migrations values ('m777_tomorrow', 0)")
    store.close()
    with pytest.raises(Refused, match=r"newer hive.*m777_tomorrow"):
        Store(store.path).connection()


def test_twenty_processes_that_all_make_the_database_at_once_succeed(tmp_path: Path) -> None:
    def work(_number: int) -> None:
        store = Store(tmp_path / "hive.db")
        for _ in range(20):
            with store.write() as db:
                emit(db, "spawned", agent="a")

    assert at_once(20, work) == [0] * 20
    with Store(tmp_path / "hive.db").read() as db:
        assert db.execute("select count(*) from events").fetchone()[0] == 400


def test_the_connection_of_a_thread_is_closed_when_the_thread_has_ended(store: Store) -> None:
    kept: list[sqlite3.Connection] = []
    thread = threading.Thread(target=lambda: kept.append(store.connection()))
    before = _opened(store)
    thread.start()
    thread.join()
    assert _opened(store) == before
    assert kept


def test_a_connection_that_fails_while_it_is_opened_is_closed(tmp_path: Path) -> None:
    (tmp_path / "hive.db").write_bytes(b"no database at all " * 100)
    broken = Store(tmp_path / "hive.db")
    with pytest.raises(Refused, match="damaged") as error:
        broken.connection()
    # The error holds on to where it was raised, and so to what was opened there.
    assert error.value.__cause__
    assert _opened(broken) == 0


def _opened(store: Store) -> int:
    """How often this process has the database open."""
    return [os.path.realpath(f"/proc/self/fd/{name}") for name in os.listdir("/proc/self/fd")].count(str(store.path))


def test_a_connection_that_is_let_go_of_in_a_circle_is_closed_and_nobody_is_warned(tmp_path: Path) -> None:
    # Python warns of one that was left open from 3.13 on.
    circle = [Store(tmp_path / "hive.db")]
    circle[0].connection()
    circle[0].itself = circle  # type: ignore[attr-defined]
    del circle
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gc.collect()
    assert _opened(Store(tmp_path / "hive.db")) == 0


def test_who_opens_a_database_as_soon_as_it_is_whole_keeps_its_maker_from_nothing(tmp_path: Path) -> None:
    path = tmp_path / "hive.db"

    class Met(Store):
        """One that is met by another process at the first moment at which there is a schema."""

        def _begin(self, db: Connection) -> None:
            super()._begin(db)
            other.append(sqlite3.connect(path, isolation_level=None))
            other[0].execute("begin")
            assert other[0].execute("select count(*) from migrations").fetchone()[0] == len(migrations.STEPS)

    other: list[sqlite3.Connection] = []
    store = Met(path)
    try:
        with store.write() as db:
            assert db.execute("pragma journal_mode").fetchone()[0] == "wal"
            # What is free in it can be given back to the disk.
            assert db.execute("pragma auto_vacuum").fetchone()[0] == 2
    finally:
        for each in other:
            each.close()
        store.close()
