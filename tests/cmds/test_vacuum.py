"""`hive vacuum`: what is old and was read goes, what is not stays, whatever happens meanwhile."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from hive_core import database_file, event_stream
from hive_core.client import Client
from hive_faces.gate.gate import beside
from hive_fleet.messages import messages
from hive_fleet.messages.old import messages_of_the_purged
from hive_fleet.messages.search import with_words
from tests.cmds.test_killed import killed_at, places_of
from tests.hives import TestHive, eventually

pytestmark = pytest.mark.remembered

DAY = 86400.0
FILES = ("hive_cmds/vacuum", "hive_fleet/upkeep/", "hive_fleet/messages/old", "hive_core/slices", "hive_core/old_events",
         "hive_core/database_file", "hive_core/store")  # fmt: skip


def put(hive: TestHive, body: str, *, sent: float, read: float | None = None, done: float | None = None,
        pair: tuple[str, str] = ("operator", "coder")) -> None:  # fmt: skip
    """A message of so many days ago, read and acknowledged so many days ago, or not."""
    now = time.time()
    moments = [None if days is None else now - days * DAY for days in (sent, read, done)]
    with hive.inside().store.write() as db:
        row = "insert into messages (sender, recipient, body, sent_at, delivered_at, acknowledged_at) values (?, ?, ?, ?, ?, ?)"
        db.execute(row, (*pair, body, *moments))


def happened(hive: TestHive, *days: float) -> None:
    """Events of so many days ago, in this order."""
    now = time.time()
    with hive.inside().store.write() as db:
        row = "insert into events (at, kind, agent, data) values (?, 'started', 'coder', '{\"agent\":\"coder\"}')"
        db.executemany(row, [(now - each * DAY,) for each in days])


def bodies(hive: TestHive) -> list[str]:
    with hive.inside().store.read() as db:
        return [row["body"] for row in db.execute("select body from messages order by id")]


def seqs(hive: TestHive) -> list[int]:
    with hive.inside().store.read() as db:
        return [row["seq"] for row in db.execute("select seq from events order by seq")]


def mixed(hive: TestHive) -> None:
    put(hive, "old and read", sent=40, read=39, done=39)
    put(hive, "old and unread", sent=40)
    put(hive, "old, and long in its reader's hand", sent=40, read=35)
    put(hive, "old, in its reader's hand now", sent=40, read=0)
    put(hive, "dated by a wrong clock", sent=-400, read=1, done=1)
    put(hive, "old, read today", sent=31, read=0, done=0)
    put(hive, "new and read", sent=29, read=28, done=28)
    put(hive, "old, behind a newer one", sent=40, read=39, done=39)


def swept(hive: TestHive, *arguments: str) -> dict[str, Any]:
    return {row["what"]: row for row in hive.json("vacuum", *arguments)}


def test_a_message_that_was_read_goes_when_it_is_old_and_one_that_was_not_never(hive: TestHive) -> None:
    mixed(hive)
    assert swept(hive)["messages"]["count"] == 4
    assert bodies(hive) == [
        "old and unread", "old, in its reader's hand now", "dated by a wrong clock", "new and read",
    ]  # fmt: skip
    (told,) = hive.events("vacuumed")
    assert (told["messages"], told["questions"]) == (4, 0)
    with hive.inside().store.read() as db:
        assert [row["body"] for row in with_words(db, "read", 20, reader=None)] == ["new and read"]


def test_a_dry_run_says_what_would_go_and_changes_nothing(hive: TestHive) -> None:
    mixed(hive)
    happened(hive, 100, 91, 1)
    before = (bodies(hive), seqs(hive))
    would = swept(hive, "--dry-run")
    assert (would["messages"]["count"], would["events"]["count"]) == (4, 2)
    assert would["messages"]["size"] == sum(len(text) for text in bodies(hive) if text in (
        "old and read", "old, and long in its reader's hand", "old, read today", "old, behind a newer one"))  # fmt: skip
    assert (bodies(hive), seqs(hive)) == before
    done = swept(hive)
    assert {what: row["count"] for what, row in done.items()} == {
        what: row["count"] for what, row in would.items() if row.get("count")
    }


def test_nothing_to_do_is_said(hive: TestHive) -> None:
    assert "Nothing is old enough" in hive.run("vacuum").stderr
    assert hive.json("vacuum") == []


def test_how_long_it_is_kept_is_a_setting(hive: TestHive) -> None:
    put(hive, "read", sent=3, read=2, done=2)
    happened(hive, 3, 0)
    (hive.home / "hive.toml").write_text("[retention]\nmessages = 2\nevents = 1\n")
    done = swept(hive)
    assert (done["messages"]["count"], done["events"]["count"]) == (1, 1)


def test_events_that_a_wrong_clock_has_dated_leave_no_gap_that_a_stream_would_not_be_told_of(hive: TestHive) -> None:
    happened(hive, 100, -3000, 95, 20000, -20, 3, 99, 0)
    numbers = seqs(hive)
    assert swept(hive)["events"]["count"] == 4
    assert seqs(hive) == [numbers[place] for place in (1, 4, 5, 7)]
    with hive.inside().store.read() as db:
        known = [event_stream.stretch(db, seq).known for seq in numbers]
    assert known == [False] * 6 + [True] * 2


def test_a_stream_that_goes_on_from_before_is_told_that_it_cannot(hive: TestHive) -> None:
    happened(hive, 100, 95, 1, 0)
    first, second, third, fourth = seqs(hive)
    hive.run("vacuum")
    with hive.inside().store.read() as db:
        assert not event_stream.stretch(db, first).known
    path = hive.root / "run" / "host.sock"
    with beside(hive.inside()):
        eventually(path.exists)
        client = Client(path)
        assert [event["kind"] for event in client.call("events", since=first)] == ["resync"]
        assert [event["seq"] for event in client.call("events", since=second)] == [third, fourth]


def test_who_follows_has_to_look_anew_when_what_it_shows_was_removed(hive: TestHive) -> None:
    mixed(hive)
    hive.run("vacuum")
    path = hive.root / "run" / "host.sock"
    with beside(hive.inside()):
        eventually(path.exists)
        told = [event["kind"] for event in Client(path).call("events", since=hive.events("vacuumed")[0]["seq"] - 1)]
    assert told == ["vacuumed", "resync"]


def test_a_question_goes_long_after_it_was_answered_and_one_that_waits_never(hive: TestHive) -> None:
    for question in ("answered long ago", "cancelled long ago", "answered now", "open"):
        hive.asked("ask", question=question)
    hive.asked("answer", id=1, text="this")
    hive.asked("cancel_question", id=2)
    hive.asked("answer", id=3, text="that")
    with hive.inside().store.write() as db:
        db.execute("update questions set asked_at = asked_at - 40 * 86400")
        db.execute("update questions set answered_at = answered_at - 31 * 86400 where id in (1, 2)")
    would = swept(hive, "--dry-run")["questions"]
    assert (would["count"], would["size"]) == (2, len("answered long ago[]this" + "cancelled long ago[][cancelled]"))
    assert swept(hive)["questions"]["count"] == 2
    assert [row["question"] for row in hive.asked("questions", all=True)] == ["answered now", "open"]
    assert [event["questions"] for event in hive.events("vacuumed")] == [2]
    # Their numbers are given to nobody again.
    assert hive.asked("ask", question="another")["id"] == 5


def test_what_is_left_of_a_purged_agent_goes_and_its_open_questions_are_cancelled(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.spawn("other")
    hive.run("send", "other", "to the other")
    inside = hive.inside()
    with inside.store.write() as db:
        for sender, recipient in (("coder", "other"), ("other", "coder"), ("coder", "operator")):
            messages.post(db, sender, recipient, f"{sender} to {recipient}")
        db.execute("update messages set delivered_at = 1, acknowledged_at = 1 where body = 'coder to operator'")
        for asker, target in (("coder", "operator"), ("other", "coder"), ("other", "operator")):
            db.execute(
                "insert into questions (asker, target, question, options, multi, asked_at) values (?, ?, '?', '[]', 0, 0)",
                (asker, target),
            )
    assert not list(messages_of_the_purged(inside.store, time.time()))
    hive.run("destroy", "coder", "--purge", "--yes")
    assert swept(hive)["messages of the purged"]["count"] == 1
    left = bodies(hive)
    # What waits for the other is the other's.
    assert "coder to other" in left
    assert not {"coder to operator", "other to coder"} & set(left)
    assert [(row["asker"], row["target"]) for row in hive.asked("questions", all=True)] == [("other", "operator")]
    (resolved,) = hive.events("question_resolved")
    assert resolved["cancelled"] is True
    assert any("[cancelled]" in text for text in hive.inbox("other"))


def test_a_new_agent_of_a_purged_ones_name_keeps_what_is_its_own(hive: TestHive) -> None:
    hive.spawn("coder")
    put(hive, "of the first", sent=1, read=1, done=1, pair=("coder", "operator"))
    hive.run("destroy", "coder", "--purge", "--yes")
    hive.spawn("coder")
    put(hive, "of the second", sent=1, read=1, done=1, pair=("coder", "operator"))
    hive.run("vacuum")
    assert "of the second" in bodies(hive)
    assert "of the first" not in bodies(hive)


def test_killed_anywhere_it_leaves_everything_whole_and_the_next_one_ends_it(hive: TestHive) -> None:
    def begin_anew() -> list[int]:
        """A mixed hive; the numbers of its events."""
        with hive.inside().store.write() as db:
            db.execute("delete from messages"), db.execute("delete from events")
        mixed(hive)
        happened(hive, 100, 91, 1)
        return seqs(hive)

    begin_anew()
    *places, _end = places_of(hive, FILES, "vacuum")
    expected = bodies(hive)
    for line in places:
        first = begin_anew()
        assert killed_at(hive, line, FILES, "vacuum") == -9
        with hive.inside().store.read() as db:
            assert db.execute("pragma integrity_check").fetchone()[0] == "ok"
        assert set(expected) <= set(bodies(hive))
        # What is left of the events has no gap.
        kept = [seq for seq in seqs(hive) if seq in first]
        assert kept == first[len(first) - len(kept) :]
        hive.asked("vacuum")
        assert bodies(hive) == expected


def test_a_second_one_leaves_it_to_the_one_at_work_and_has_not_failed(hive: TestHive) -> None:
    put(hive, "old", sent=40, read=40, done=40)
    with hive.inside().lone("vacuum", "a test"):
        (row,) = hive.json("vacuum")
        assert row["detail"].startswith("left to another: `hive vacuum` is running already (process")
        assert "left to another" in hive.run("vacuum").stdout
        assert "already" in hive.run("vacuum", "--rewrite", code=1).stderr
        assert "old" in bodies(hive)
        hive.run("vacuum", "--dry-run")
    hive.run("vacuum")
    assert "old" not in bodies(hive)


def test_an_older_hives_database_is_rewritten_where_that_takes_a_moment(hive: TestHive) -> None:
    import sqlite3
    from contextlib import closing

    hive.home.mkdir()
    with closing(sqlite3.connect(hive.home / "hive.db")) as db:
        db.execute("create table migrations (name text primary key, applied_at real not null) strict")
    put(hive, "word " * 300_000, sent=40, read=39, done=39)
    size = Path(hive.home / "hive.db").stat().st_size
    assert swept(hive)["database"]["size"] > 1_200_000
    assert database_file.space(hive.inside().store).gives
    assert Path(hive.home / "hive.db").stat().st_size < size - 1_200_000
