"""How agents were last seen: one picture that every process compares with, so that each change is told once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from hive_core import wire
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.events import since
from hive_fleet.agents import desired, last_seen, status, table
from hive_fleet.agents.last_seen import Picture, Seen
from hive_fleet.agents.observation import observe
from hive_fleet.agents.status import AgentStatus
from hive_fleet.needs import needs

pytestmark = pytest.mark.remembered

SEEN = Seen(running=True, instance="one", logged_in=True, up_to_date=True)


def shown(name: str, **more: Any) -> AgentStatus:
    stray = status.of_stray(Container(name, True, "one", "a" * 40, None, None, None))
    return replace(stray, unknown=None, **more)


def record(db: sqlite3.Connection, *rows: AgentStatus, seen: Seen = SEEN) -> None:
    last_seen.record(db, {row.name: seen for row in rows}, list(rows))


def told(db: sqlite3.Connection) -> list[tuple[str, str | None]]:
    return [(event.kind, event.agent) for event in since(db, 0) if event.kind.startswith("container_")]


def test_each_change_of_what_is_shown_is_told_once_with_the_whole_row(enlist: Callable[..., Hive]) -> None:
    with enlist("coder", "other").store.write() as db:
        record(db, shown("coder"), shown("other"))
        record(db, shown("coder"), shown("other"))
        record(db, shown("coder", paused=True), shown("other"))
        assert told(db) == [("container_state_changed", name) for name in ("coder", "other", "coder")]
        assert list(since(db, 0))[-1].data["container"]["paused"] is True


def test_what_only_the_watch_compares_is_kept_and_told_to_nobody(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        record(db, shown("coder"))
        record(db, shown("coder"), seen=replace(SEEN, running=False, instance=None, up_to_date=False))
        assert len(told(db)) == 1
        assert last_seen.last(db) == {"coder": Seen(False, None, True, False)}


def test_an_operation_in_progress_has_events_of_its_own(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        record(db, shown("coder"))
        record(db, shown("coder", operation="stopping", operation_since=5, operation_step="stopping"))
        assert len(told(db)) == 1
        assert not [name for name in last_seen.shown(db)[0] if name.startswith("operation")]


def test_what_there_is_to_do_follows_what_is_shown(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        record(db, shown("coder", failed=True, cause="SIGKILL", needs_login=True))
        assert {need.id for need in needs.waiting(db)} == {"crash/coder", "needs_login/coder"}
        record(db, shown("coder"))
        assert needs.waiting(db) == []


def test_one_that_is_gone_is_told_of_and_needs_nothing(enlist: Callable[..., Hive]) -> None:
    with enlist("coder", "other").store.write() as db:
        record(db, shown("coder", failed=True), shown("other"))
        table.remove(db, "coder")
        last_seen.forget_the_gone(db)
        last_seen.forget_the_gone(db)
        assert told(db)[2:] == [("container_removed", "coder")]
        assert list(last_seen.last(db)) == ["other"]
        assert needs.waiting(db) == []


def test_a_picture_that_is_forgotten_tells_nothing(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        record(db, shown("coder", failed=True))
        last_seen.forget_all(db)
        assert (last_seen.last(db), last_seen.shown(db), needs.waiting(db)) == ({}, [], [])
        assert len(told(db)) == 1


def test_they_are_shown_with_the_manager_first_and_then_by_their_numbers(enlist: Callable[..., Hive]) -> None:
    names = ("w10", "manager", "w2", "a")
    with enlist(*names).store.write() as db:
        record(db, *map(shown, names))
        assert [row["name"] for row in last_seen.shown(db)] == ["manager", "a", "w2", "w10"]


def test_whether_anything_is_new_is_known_without_writing_it(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        picture: Picture = {"coder": SEEN}
        assert last_seen.is_news(db, picture, [shown("coder")])
        record(db, shown("coder"))
        assert not last_seen.is_news(db, picture, [shown("coder")])
        assert last_seen.is_news(db, {"coder": replace(SEEN, logged_in=False)}, [shown("coder")])
        assert last_seen.is_news(db, picture, [shown("coder", paused=True)])
        table.remove(db, "coder")
        assert last_seen.is_news(db, {}, [])


def test_a_change_that_was_shown_and_not_judged_is_inconclusive(enlist: Callable[..., Hive]) -> None:
    with enlist("coder").store.write() as db:
        record(db, shown("coder"))
        assert not last_seen.inconclusive(db, "coder")
        # Shown by who changed it; what the watch compares with is as it was.
        record(db, shown("coder", needs_login=True))
        assert last_seen.inconclusive(db, "coder")
        record(db, shown("coder", needs_login=True), seen=replace(SEEN, logged_in=False))
        assert not last_seen.inconclusive(db, "coder")
        assert not last_seen.inconclusive(db, "nobody")


def test_who_changes_how_an_agent_is_shown_leaves_the_verdict_to_the_watch(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    with last_seen.showing(hive, "coder") as db:
        assert told(db) == []
    with hive.store.write() as db:
        # It was never looked at: that it does not run is the first look's.
        assert last_seen.last(db)["coder"].running is False
        record(db, shown("coder"))
    with last_seen.showing(hive, "coder") as db:
        db.execute("update agents set paused = 1")
    with hive.store.read() as db:
        assert last_seen.last(db)["coder"] == SEEN
        assert [last_seen.shown(db)[0][name] for name in ("running", "paused")] == [False, True]


def test_after_an_operation_one_that_has_ended_already_is_left_to_the_watch(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    record_it = last_seen.after_operation(hive, "coder")
    with hive.store.write() as db:
        record_it(db)
        # It was to run and does not: the next look finds the crash.
        assert last_seen.last(db)["coder"].running is True
        desired.want(db, "coder", desired.STOPPED)
    record_it = last_seen.after_operation(hive, "coder")
    with hive.store.write() as db:
        record_it(db)
        assert last_seen.last(db)["coder"].running is False
        table.remove(db, "coder")
        record_it(db)
        assert last_seen.last(db) == {}
        assert told(db)[-1] == ("container_removed", "coder")


def test_a_picture_is_made_of_what_was_seen_and_what_the_database_knows(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder", "gone")
    observation = observe(hive)
    with hive.store.write() as db:
        table.remove(db, "gone")
        picture, rows = last_seen.picture(hive, db, observation)
    assert [row.name for row in rows] == ["coder"]
    assert picture == {"coder": Seen(False, None, True, True, busy=False, wanted=True)}
    assert wire.plain(rows[0])["failed"] is True
