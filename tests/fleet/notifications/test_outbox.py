"""The outbox: what is to be sent is written down before, and stays until a service has taken it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hive_core.events import since
from hive_core.store import Store
from hive_fleet.notifications import outbox
from hive_fleet.notifications.decisions import HOUR, Telling
from hive_fleet.notifications.outbox import DOWN, FIRST, LONGEST

NOW = 100_000.0


@pytest.fixture
def db(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A transaction, nothing of which is kept."""
    with Store(tmp_path / "hive.db").read() as db:
        db.execute("savepoint test")
        yield db


def row(name: str, kind: str = "crash", agent: str | None = "coder") -> dict[str, Any]:
    return {"id": f"{kind}/{name}", "kind": kind, **({"agent": agent} if agent else {})}


def put(db: sqlite3.Connection, *rows: dict[str, Any], service: str = "phone", at: float = NOW) -> None:
    outbox.put(db, service, rows, {each["id"]: "content" for each in rows}, at)


def test_what_is_written_down_waits_for_its_service_alone(db: sqlite3.Connection) -> None:
    put(db, row("a"))
    put(db, row("b"), service="mail")
    put(db, row("c"), row("d"))
    found = outbox.unsent(db, "phone")
    assert [[each["id"] for each in notice.rows] for notice in found] == [["crash/a"], ["crash/c", "crash/d"]]
    assert [notice.made_at for notice in found] == [NOW, NOW]
    outbox.taken(db, "phone", found[:1], NOW + 1)
    assert outbox.unsent(db, "phone") == found[1:]
    assert len(outbox.unsent(db, "mail")) == 1


def test_that_a_service_has_taken_it_is_told_once_with_all_it_was_about(db: sqlite3.Connection) -> None:
    put(db, row("a"))
    put(db, row("a"), row("b"))
    outbox.taken(db, "phone", outbox.unsent(db, "phone"), NOW)
    (event,) = since(db, 0)
    assert (event.kind, event.data["to"], event.data["needs"]) == ("notified", "phone", ["crash/a", "crash/b"])


def test_a_service_that_takes_nothing_is_tried_again_ever_later(db: sqlite3.Connection) -> None:
    for number in range(10):
        outbox.refused(db, "phone", f"error {number}", NOW + number)
    found = outbox.failing(db)["phone"]
    assert (found.tries, found.since, found.error) == (10, NOW, "error 9")
    assert found.due_at == NOW + 9 + LONGEST
    outbox.works(db, "phone")
    assert outbox.failing(db) == {}
    outbox.refused(db, "phone", "again", NOW)
    assert outbox.failing(db)["phone"].due_at == NOW + FIRST


def test_one_that_takes_it_works_again(db: sqlite3.Connection) -> None:
    put(db, row("a"))
    outbox.refused(db, "phone", "no", NOW)
    outbox.refused(db, "mail", "no", NOW)
    outbox.taken(db, "phone", outbox.unsent(db, "phone"), NOW)
    assert set(outbox.failing(db)) == {"mail"}


def test_a_service_that_takes_nothing_needs_the_operator(db: sqlite3.Connection) -> None:
    for _ in range(DOWN):
        outbox.refused(db, "phone", "no such topic", NOW)
    need = outbox.need_of(outbox.failing(db)["phone"])
    assert (need.id, need.agent, need.since) == ("notification/phone", None, int(NOW))
    assert need.detail == "the service phone takes no notifications: no such topic"


def test_what_a_service_was_told_of_the_last_hour_is_known(db: sqlite3.Connection) -> None:
    put(db, row("old"), at=NOW - HOUR - 1)
    put(db, row("a"), row("b", "stuck"), at=NOW - 60)
    put(db, row("c", agent="tester"), row("d"), at=NOW - 50)
    put(db, row("e", "disk", None), at=NOW - 40)
    put(db, row("f"), service="mail", at=NOW - 30)
    found = outbox.history(db, "phone", NOW)
    assert [(at, sorted(kinds)) for at, kinds in found.hour] == [
        (NOW - 60, ["crash", "stuck"]), (NOW - 50, ["crash"]), (NOW - 40, ["disk"]),
    ]  # fmt: skip
    # Of one agent alone: neither of two together, nor of none.
    assert found.alone == {"coder": [NOW - 60]}
    assert found.tellings["crash/old"] == Telling("content", NOW - HOUR - 1)
    assert "crash/f" not in found.tellings


def test_what_nobody_asks_for_any_more_is_forgotten(db: sqlite3.Connection) -> None:
    put(db, row("a"), row("b"), at=NOW - HOUR - 1)
    put(db, row("c"), at=NOW)
    put(db, row("a"), service="gone")
    outbox.refused(db, "gone", "no", NOW)
    outbox.taken(db, "phone", outbox.unsent(db, "phone")[:1], NOW - HOUR - 1)
    outbox.forget(db, ["phone"], ["crash/a"], NOW)
    # What is still there, or was told of lately, is not told of anew.
    assert set(outbox.history(db, "phone", NOW).tellings) == {"crash/a", "crash/c"}
    assert db.execute("select count(*) from notices").fetchone()[0] == 1
    assert (outbox.unsent(db, "gone"), outbox.failing(db), outbox.history(db, "gone", NOW).tellings) == ([], {}, {})


def test_what_is_yet_to_be_taken_is_never_forgotten(db: sqlite3.Connection) -> None:
    put(db, row("a"), at=0.0)
    outbox.forget(db, ["phone"], [], NOW)
    assert len(outbox.unsent(db, "phone")) == 1
