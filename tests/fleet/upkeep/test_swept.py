"""What an upkeep does part by part: what one fails with is told, and stops no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.messages.messages import post
from hive_fleet.upkeep import sweeping
from hive_fleet.upkeep.swept import Swept, contained
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Refused("No.", "Do this."), "No."),
        (OSError(28, "No space left on device", "/x"), "/x: No space left on device."),
        (OSError(13, "Permission denied", "/x"), "This machine would not do it: /x: Permission denied."),
        (sqlite3.OperationalError("odd"), "OperationalError: odd"),
    ],
)
def test_what_a_part_fails_with_is_told_behind_what_it_has_done(error: Exception, said: str) -> None:
    def sweep() -> Iterator[Swept]:
        yield Swept("a", True, 1, 2, "done")
        raise error

    assert list(contained("part", sweep)) == [Swept("a", True, 1, 2, "done"), Swept("part", False, None, 0, said)]


def test_a_bug_is_no_trouble_of_a_part() -> None:
    def sweep() -> Iterator[Swept]:
        raise ValueError("a bug")
        yield

    with pytest.raises(ValueError, match="a bug"):
        list(contained("part", sweep))


def test_only_what_did_something_or_could_not_is_worth_a_word() -> None:
    assert [each.says_something for each in (
        Swept("a", True, 0, 0, ""), Swept("a", True, 1, 0, ""), Swept("a", True, None, 5, ""), Swept("a", False, 0, 0, ""),
    )] == [False, True, True, True]  # fmt: skip


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """A hive in which two messages were read long ago, and one was not."""
    made = hive.inside()
    with made.store.write() as db:
        for body in ("read", "read too", "unread"):
            post(db, "operator", "coder", body)
        db.execute("update messages set sent_at = 5, delivered_at = 6, acknowledged_at = 7 where body like 'read%'")
        db.execute("update messages set sent_at = 5 where body = 'unread'")
    return made


def rows(hive: Hive, *, dry: bool) -> dict[str, Swept]:
    return {row.what: row for row in sweeping.sweep(hive, dry)}


def bodies(hive: Hive) -> list[str]:
    with hive.store.read() as db:
        return [row["body"] for row in db.execute("select body from messages order by id")]


def test_a_dry_one_tells_the_same_and_changes_nothing(inside: Hive) -> None:
    would = rows(inside, dry=True)["messages"]
    assert (would.count, would.size) == (2, len("read" + "read too"))
    assert bodies(inside) == ["read", "read too", "unread"]
    did = rows(inside, dry=False)["messages"]
    assert (did.ok, did.count) == (True, 2)
    assert bodies(inside) == ["unread"]
    assert rows(inside, dry=False)["messages"].count == 0


def test_a_part_that_fails_stops_no_other(inside: Hive) -> None:
    # What lies in the place of the applied repositories is no folder.
    inside.settings.applied.write_text("")
    found = rows(inside, dry=False)
    assert found["messages"].count == 2
    assert bodies(inside) == ["unread"]
