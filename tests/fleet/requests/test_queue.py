"""The approval queue: decided exactly once, told once, and nobody can fill it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest

from hive_core.caller import THE_OPERATOR, Identity, Role
from hive_core.context import Hive
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.events import since
from hive_fleet.agents import desired, table
from hive_fleet.needs import needs
from hive_fleet.requests import queue
from hive_fleet.requests.queue import DAY, INTERRUPTED, MOST_CANCELLED, MOST_FAILED, MOST_WAITING
from hive_fleet.requests.request import Request
from tests.hives import TestHive

pytestmark = pytest.mark.remembered

SHA, BASE = "a" * 40, "b" * 40
NOW = 1_700_000_000.0


@pytest.fixture
def inside(hive: TestHive) -> Hive:
    """The hive as its manager sees it, at a time that only the test moves."""
    made = hive.inside().acting_as(Identity(Role.MANAGER, "manager"))
    made.clock = lambda: NOW
    return made


@pytest.fixture
def db(inside: Hive) -> Iterator[sqlite3.Connection]:
    with inside.store.write() as db:
        for name in ("coder", "manager"):
            table.add(db, name, uid=None, desired=desired.RUNNING, created_at=1.0)
        yield db


def ask(hive: Hive, db: sqlite3.Connection, kind: str = "apply_commit", description: str | None = None) -> int:
    return queue.add(hive, db, agent="coder", kind=kind, commit_ref="aaaaaaa", description=description)


def proposed(hive: Hive, db: sqlite3.Connection) -> int:
    id = ask(hive, db)
    queue.fetched(db, id, SHA, BASE, "the diff")
    return id


def of(db: sqlite3.Connection, id: int) -> Request:
    return Request.from_row(queue.require(db, id))


def told(db: sqlite3.Connection) -> list[str]:
    return [event.kind for event in since(db, 0) if event.kind.startswith("approval_")]


def test_a_request_for_a_commit_is_a_failed_one_until_its_commit_is_held(inside: Hive, db: sqlite3.Connection) -> None:
    id = ask(inside, db, description="why")
    assert (of(db, id).status, of(db, id).note) == ("failed", INTERRUPTED)
    assert (queue.waiting(db), needs.waiting(db), told(db)) == ([], [], [])
    # Nobody was told of it: it is not among those that were decided, either.
    assert queue.newest_decided(db, 10) == []
    queue.fetched(db, id, SHA, BASE, "the diff")
    assert (of(db, id).status, of(db, id).note, of(db, id).resolved_at) == ("pending", None, None)
    assert [row["id"] for row in queue.waiting(db)] == [id]
    (need,) = needs.waiting(db)
    assert (need.id, need.sentence, need.quote) == (
        f"request/{id}", f"manager asks to deploy {SHA[:12]} on coder", "why",
    )  # fmt: skip
    (event,) = [event for event in since(db, 0) if event.kind == "approval_added"]
    assert (event.data["diff"], event.data["sha"], event.data["requested_by"]) == ("the diff", SHA, "manager")


def test_a_request_for_an_agent_waits_at_once(inside: Hive, db: sqlite3.Connection) -> None:
    id = ask(inside, db, "spawn")
    assert of(db, id).status == "pending"
    assert [need.sentence for need in needs.waiting(db)] == ["manager asks to make coder"]
    assert told(db) == ["approval_added"]
    assert [row["id"] for row in queue.pending(db, "coder", "spawn")] == [id]
    assert queue.pending(db, "coder", "apply_commit") == queue.pending(db, "tester", "spawn") == []


@pytest.mark.parametrize("status", ["approved", "denied", "failed"])
def test_a_decision_is_made_once_and_told_once(inside: Hive, db: sqlite3.Connection, status: str) -> None:
    id = proposed(inside, db)
    for _ in range(2):
        queue.resolve(inside, db, id, status, note="why")
    assert told(db) == ["approval_added", "approval_resolved"]
    assert needs.waiting(db) == []
    assert [row["id"] for row in queue.newest_decided(db, 10)] == [id]
    with pytest.raises(Refused, match=f"Request {id} is already {status}"):
        queue.require_pending(db, id)
    for other in {"approved", "denied", "failed"} - {status}:
        with pytest.raises(Refused, match=f"Request {id} is already {status}"):
            queue.resolve(inside, db, id, other)
    assert (of(db, id).status, of(db, id).note) == (status, "why")


def test_the_manager_is_told_of_it_unless_it_has_decided_itself(inside: Hive, db: sqlite3.Connection) -> None:
    for number, hive in enumerate((inside, inside.acting_as(THE_OPERATOR))):
        queue.resolve(hive, db, proposed(inside, db), "denied", note="no")
        rows = db.execute("select body from messages where recipient = 'manager'").fetchall()
        assert len(rows) == number
    assert json.loads(rows[0]["body"]) == {
        "event": "approval_resolved", "id": 2, "agent": "coder", "approval_kind": "apply_commit", "status": "denied",
        "sha": SHA, "note": "no",
    }  # fmt: skip


def test_of_what_is_denied_only_a_commit_is_still_to_be_tagged(inside: Hive, db: sqlite3.Connection) -> None:
    commit, spawn, approved = proposed(inside, db), ask(inside, db, "spawn"), proposed(inside, db)
    for id, status in ((commit, "denied"), (spawn, "denied"), (approved, "approved")):
        queue.resolve(inside, db, id, status)
    untagged = [row["id"] for row in db.execute("select id from approvals where not tagged order by id")]
    assert untagged == [commit]


def test_what_was_never_asked_for_is_not_found(inside: Hive, db: sqlite3.Connection) -> None:
    for look in (queue.require, queue.require_pending):
        with pytest.raises(NotFound, match="There is no request 7"):
            look(db, 7)


def test_the_last_that_were_decided_are_in_the_order_of_their_decisions(inside: Hive, db: sqlite3.Connection) -> None:
    ids = [proposed(inside, db) for _ in range(4)]
    for later, id in enumerate((ids[2], ids[0], ids[3])):
        inside.clock = lambda at=NOW + later: at  # type: ignore[misc]
        queue.resolve(inside, db, id, "approved")
    assert [row["id"] for row in queue.newest_decided(db, 2)] == [ids[0], ids[3]]
    assert [row["id"] for row in queue.deployed(db, "coder")] == [ids[3], ids[0], ids[2]]
    assert [row["id"] for row in queue.about(db, "coder", 2)] == [ids[3], ids[2]]
    assert queue.newest_ids(db, 3) == ids[:0:-1]


def test_nobody_but_the_operator_has_more_waiting_than_somebody_reads(inside: Hive, db: sqlite3.Connection) -> None:
    for _ in range(MOST_WAITING):
        ask(inside, db, "spawn")
    with pytest.raises(Refused, match=f"{MOST_WAITING} requests of manager wait") as refused:
        ask(inside, db, "spawn")
    assert refused.value.hint == "Wait for a decision, or take one back: cancel ID."
    # It is counted by who asks.
    assert ask(inside.acting_as(Identity(Role.AGENT, "coder")), db, "spawn") == MOST_WAITING + 1
    assert ask(inside.acting_as(THE_OPERATOR), db, "spawn") == MOST_WAITING + 2
    queue.resolve(inside, db, 1, "denied")
    ask(inside, db, "spawn")


def test_who_fails_in_ever_new_ways_waits_a_day(inside: Hive, db: sqlite3.Connection) -> None:
    for number in range(MOST_FAILED):
        inside.clock = lambda at=NOW + 60 * number: at  # type: ignore[misc]
        queue.add_failed(inside, db, "coder", f"{number:07}", None, "There is no such commit.")
    with pytest.raises(Refused, match=f"{MOST_FAILED} requests of manager have failed within a day") as refused:
        ask(inside, db)
    # Its first counts no more when a day has passed since.
    minutes = int((DAY - 60 * (MOST_FAILED - 1)) // 60) + 1
    assert refused.value.hint == f"Try again in {minutes} minutes."
    inside.clock = lambda: NOW + DAY
    ask(inside, db)


def test_one_that_fails_as_another_did_uses_up_nothing(inside: Hive, db: sqlite3.Connection) -> None:
    for _ in range(3):
        queue.add_failed(inside, db, "coder", "aaaaaaa", "d", "There is no such commit.")
    assert [row["note"] for row in queue.every(db)] == ["There is no such commit."]
    assert told(db) == ["approval_resolved"]
    queue.add_failed(inside, db, "coder", "aaaaaaa", "d", "It is no commit.")
    queue.add_failed(inside.acting_as(Identity(Role.AGENT, "coder")), db, "coder", "aaaaaaa", "d", "It is no commit.")
    assert [row["requested_by"] for row in queue.every(db)] == ["manager", "manager", "coder"]


def test_who_takes_back_what_it_asked_for_can_do_so_only_so_often(inside: Hive, db: sqlite3.Connection) -> None:
    for _ in range(MOST_CANCELLED):
        queue.resolve(inside, db, ask(inside, db, "spawn"), "denied", note=queue.cancelled_by("manager"))
    with pytest.raises(Refused, match="were taken back within a day"):
        ask(inside, db, "spawn")
    # What the operator denies is not the asker's doing.
    db.execute("update approvals set note = 'no'")
    ask(inside, db, "spawn")


def test_an_error_says_what_has_become_of_the_request(inside: Hive) -> None:
    with inside.store.write() as db:
        id = proposed(inside, db)

    def fails_with(error: Exception, id: int = id) -> HiveError:
        with pytest.raises(HiveError) as told, queue.told_what_became_of(inside, id, "And more."):
            raise error
        return told.value

    waits = f"Request {id}: pending. It can be approved again when that is mended. And more."
    assert fails_with(HiveError("It broke.", "Mend it.")).hint == f"Mend it. {waits}"
    full = fails_with(OSError(28, "No space left on device", "/hive/file"))
    assert str(full.hint).endswith(waits)
    with inside.store.write() as db:
        queue.resolve(inside, db, id, "failed", note="It broke.")
    assert fails_with(HiveError("It broke.")).hint == f"Request {id}: failed. And more."
    unknown = fails_with(HiveError("It broke."), id=99)
    assert unknown.hint == "Request 99: as it was, as far as can be told. And more."
    with pytest.raises(KeyError), queue.told_what_became_of(inside, id):
        raise KeyError


def test_a_number_is_never_given_twice(inside: Hive, db: sqlite3.Connection) -> None:
    queue.number_after(db, 41)
    assert ask(inside, db) == 42
    queue.number_after(db, 7)
    assert ask(inside, db) == 43
    queue.number_after(db, 60)
    assert ask(inside, db) == 61
    db.execute("delete from approvals")
    assert ask(inside, db) == 62


def test_a_request_in_a_line(inside: Hive, db: sqlite3.Connection) -> None:
    commit, spawn = proposed(inside, db), ask(inside, db, "spawn")
    assert of(db, commit).text() == f"request {commit} (commit {SHA[:12]} for coder): pending"
    queue.resolve(inside, db, spawn, "denied", note="no room")
    assert of(db, spawn).text() == f"request {spawn} (spawn of coder): denied, no room"
    # Of one that was never fetched nothing but what was asked for is known.
    assert of(db, ask(inside, db)).text() == f"request 3 (commit aaaaaaa for coder): failed, {INTERRUPTED}"
