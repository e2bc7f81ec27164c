"""Messages and questions that nobody needs any more, whatever the order they were written, read and dated in."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hive_core.caller import Identity, Role
from hive_core.context import Hive
from hive_fleet.messages import inbox, old, questions
from hive_fleet.messages.messages import forget_inbox, post
from hive_fleet.messages.questions import CANCELLED
from tests.properties import thorough

pytestmark = pytest.mark.remembered
BEFORE = 10.0


class Written(NamedTuple):
    """A message: when it was sent, handed out and acknowledged, as far as it was."""

    sent: int
    delivered: int | None
    acknowledged: int | None

    @property
    def is_read(self) -> bool:
        if self.delivered is None:
            return False
        return self.acknowledged is not None or self.delivered < BEFORE

    @property
    def is_old(self) -> bool:
        return self.sent < BEFORE and self.is_read


_moment = st.integers(0, 20)
_written = st.tuples(_moment, st.none() | _moment, st.none() | _moment).map(
    lambda times: Written(times[0], times[1], times[2] if times[1] is not None else None)
)


def write(db: sqlite3.Connection, all_of_it: list[Written], sender: str = "coder", recipient: str = "tester") -> None:
    for number, each in enumerate(all_of_it):
        post(db, sender, recipient, f"body {number}")
        times = (each.sent, each.delivered, each.acknowledged)
        db.execute(
            "update messages set sent_at = ?, delivered_at = ?, acknowledged_at = ?"
            " where id = (select max(id) from messages)",
            times,
        )


def bodies(db: sqlite3.Connection) -> list[str]:
    return [row["body"] for row in db.execute("select body from messages order by id")]


# Each is written to the disk; the hive is the same for all of them.
@settings(thorough, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(all_of_it=st.lists(_written, max_size=8))
def test_what_was_read_long_ago_is_old_and_what_was_not_never(
    enlist: Callable[..., Hive], all_of_it: list[Written]
) -> None:
    hive = enlist()
    with hive.store.write() as db:
        db.execute("delete from messages")
        write(db, all_of_it)
        ids = [row["id"] for row in db.execute("select id from messages order by id")]
    found = list(old.old_messages(hive.store, BEFORE))
    assert found == [id for id, each in zip(ids, all_of_it, strict=True) if each.is_old]
    with hive.store.write() as db:
        assert old.measure_messages(db, found) == 6 * len(found)
        # Whichever are to be removed, of those that wait for somebody none is.
        assert old.forget_messages(db, ids, BEFORE) == sum(each.is_read for each in all_of_it)
        assert bodies(db) == [f"body {number}" for number, each in enumerate(all_of_it) if not each.is_read]
        # What is left can be found by its words, and nothing else.
        words = db.execute("select count(*) from messages_search where messages_search match 'body'").fetchone()[0]
        assert words == len(bodies(db))


def test_of_a_purged_agent_goes_what_was_read_and_all_that_it_got(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder", "tester", "gone")
    read, waiting = Written(1, 2, 3), Written(1, None, None)
    with hive.store.write() as db:
        write(db, [read, waiting], "gone", "tester")
        write(db, [read, waiting], "coder", "gone")
        write(db, [read, waiting], "coder", "tester")
    assert list(old.messages_of_the_purged(hive.store, BEFORE)) == []
    with hive.store.write() as db:
        db.execute("delete from readers where name = 'gone'")
    found = list(old.messages_of_the_purged(hive.store, BEFORE))
    with hive.store.write() as db:
        assert old.forget_messages(db, found, BEFORE) == 3
        left = [(row["sender"], row["body"]) for row in db.execute("select * from messages order by id")]
    # What it has written to somebody who has yet to read it waits on.
    assert left == [("gone", "body 1"), ("coder", "body 0"), ("coder", "body 1")]
    assert list(old.messages_of_the_purged(hive.store, BEFORE)) == []


def test_what_is_put_back_while_it_is_looked_for_is_not_removed(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder", "tester")
    with hive.store.write() as db:
        write(db, [Written(1, 2, None)])
    found = list(old.old_messages(hive.store, BEFORE))
    assert len(found) == 1
    with hive.store.write() as db:
        inbox.put_back(db, "tester")
        assert old.forget_messages(db, found, BEFORE) == 0
        assert inbox.unread(db, "tester") == 1


def test_questions_go_long_after_their_answer_and_those_of_the_purged_at_once(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder", "tester")
    hive.clock = lambda: 5.0
    coders = hive.acting_as(Identity(Role.AGENT, "coder"))
    asked = {"question": "which?", "options": ["a"], "multi": False, "ttl": None}
    with hive.store.write() as db:
        rows = [questions.add(coders, db, target=target, **asked) for target in ("operator", "tester", "tester")]  # type: ignore[arg-type]
        for row in (rows[0], rows[2]):
            questions.resolve(hive, db, row, "a", "operator")
        assert old.measure_questions(db, [rows[0]["id"], rows[1]["id"]]) == 2 * len('which?["a"]') + 1
    assert list(old.old_questions(hive.store, 5.0)) == []
    assert list(old.old_questions(hive.store, 6.0)) == [rows[0]["id"], rows[2]["id"]]
    assert old.questions_of_the_purged(hive.store) == []
    with hive.store.write() as db:
        forget_inbox(db, "tester")
    doomed = old.questions_of_the_purged(hive.store)
    assert doomed == [rows[1]["id"], rows[2]["id"]]
    with hive.store.write() as db:
        db.execute("delete from messages")
        assert old.forget_questions(hive, db, doomed) == 2
        assert [row["id"] for row in db.execute("select id from questions")] == [rows[0]["id"]]
        # Who still waited for an answer is told that none comes; whose question was answered is not told again.
        (told,) = map(json.loads, bodies(db))
    assert (told["id"], told["answer"]) == (2, CANCELLED)


def test_the_index_of_words_is_brought_in_order_until_there_is_nothing_to_do(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder", "tester")
    for number in range(6):
        with hive.store.write() as db:
            post(db, "coder", "tester", f"word{number} " * 50)
    with hive.store.write() as db:
        more = [old.merge_words(db, 200, 2) for _ in range(4)]
        # So many have not come together: nothing is done.
        assert not old.merge_words(db, 200, 16)
    assert more[0]
    assert not more[-1]
    with hive.store.read() as db:
        found = db.execute("select count(*) from messages_search where messages_search match 'word3'").fetchone()[0]
    assert found == 1
