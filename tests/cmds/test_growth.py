"""History costs nothing: no operation reads through a table that grows, whatever has been said and done before.

Nothing here is a matter of time. What SQLite does for a statement is told by its plan, and counted in the instructions
of its virtual machine.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

import pytest

from hive_cmds import questions
from hive_core import event_stream, progress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_faces.verbs import everything
from hive_fleet.changes import spawns
from hive_fleet.events import feed
from hive_fleet.messages.messages import kick
from hive_fleet.messages.questions import expire, next_deadline
from hive_fleet.requests import denials
from hive_fleet.watching.rounds import tick
from tests.hives import PLAIN, TestHive
from tests.mail import as_agent

pytestmark = pytest.mark.remembered
GROWING = ("messages", "events", "approvals", "questions")
# Partial indexes: they hold what is still to be done, which is little, however much there has been.
PENDING = {"approvals_pending", "approvals_untagged", "questions_waiting"}
# The newest rows of a table, which are read from its end and no further; what is said there has an index of its own.
NEWEST = re.compile(
    r"from (\w+)(?: indexed by messages_said where sender != 'system')?(?: order by (?:id|seq) desc)? limit \d+"
)
# Indexes from the end of which the newest rows are read, up to a limit, and nothing is sorted.
FROM_THE_END = {"messages_told", "approvals_decided", "questions_answered"}
HISTORY = 3000
OTHER = PLAIN.replace("ready", "ready again")

# Operations that are not called here, and why: they make none of the statements that the others do not make too.
ELSEWHERE = {
    **dict.fromkeys(
        ("agent", "mcp", "gate", "page", "watch", "up", "attach", "login", "open"), "runs until it is ended"
    ),
    **dict.fromkeys(("inputs", "config", "journal", "install_service"), "asks the database nothing"),
    **dict.fromkeys(("migrate", "adopt"), "runs once"),
    "notify": "reads what needs the operator, as needs_you does, and what was told of it within an hour",
    "nudge": "needs a harness in a turn, and is a restart",
    **dict.fromkeys(("backup", "restore"), "copies all there is"),
    "vacuum": "removes what there is too much of",
    **dict.fromkeys(("disk", "doctor"), "looks at all there is"),
}

Act = tuple[str, Callable[[Hive], object]]


def call(verb: str, *, by: str = "", refused: bool = False, **arguments: object) -> Act:
    """An operation as a caller makes it: the operator, unless an agent is named."""

    def act(hive: Hive) -> None:
        with pytest.raises(HiveError) if refused else nullcontext():
            result = everything()[verb].call(as_agent(hive, by) if by else hive, arguments)
            if isinstance(result, Iterator):
                list(result)

    return verb, act


def of_the_newest(verb: str) -> Act:
    """An operation on the newest request."""
    return verb, lambda hive: everything()[verb].call(hive, {"id": newest(hive)})


def acts(place: TestHive) -> Iterator[Act]:
    """Every operation that can be called, in an order that makes sense, and what the watch and the gate do besides."""
    yield from talking()
    yield from changing(place)
    yield call("needs_you")
    yield call("needs_you", all=True, short=True)
    yield "acknowledge", lambda hive: everything()["acknowledge"].call(hive, {"id": f"request/{newest(hive)}"})
    yield call("state")
    yield call("tombstones")
    yield call("events")
    yield "the newest events of an agent", call("events", agent=["coder"])[1]
    yield "the events of an hour", call("events", since="1h")[1]
    yield call("history", name="coder")
    yield call("configuration", name="coder")
    yield call("status", name="coder")
    yield "the newest events", call("events", kind=["sent"])[1]
    yield "the events since", lambda hive: list(feed.after(hive, newest_event(hive) - 5, []))
    yield "mend_all", progress.mend_all
    yield "a stretch of the history", lambda hive: stretch(hive, newest_event(hive) - 5)
    yield "a stretch of one kind", lambda hive: stretch(hive, newest_event(hive) - 5, "question_added")
    yield "denials", denials.tag_all
    yield "a look", lambda hive: tick(hive, seed=False)


def talking() -> Iterator[Act]:
    """Messages and questions."""
    yield call("send", to="coder", body="apple for the coder")
    yield call("send", by="coder", to="manager", body="apple")
    yield call("send", by="coder", to="*", body="apple")
    yield call("recv", by="coder", wait=0)
    yield call("recv", by="manager", wait=0)
    yield call("nack", by="coder")
    yield call("recv", by="coder", wait=0, limit=100)
    yield call("ack", by="coder")
    yield call("recv", wait=0)
    for by in ("", "coder"):
        yield call("recent", by=by)
        yield call("search", by=by, words="pomegranate")
        yield call("search", by=by, words="pomegra* tree")
    yield call("why", id=2)
    yield call("why", id=2, of="coder")
    yield call("ask", by="coder", question="may I?", ttl=60)
    yield call("ask", by="coder", question="will you?", to="manager")
    yield call("ask_operator", by="manager", question="may it?")
    for by in ("", "coder"):
        yield call("questions", by=by)
        yield "all questions", call("questions", by=by, all=True)[1]
    yield "answer", lambda hive: everything()["answer"].call(as_agent(hive, "manager"), {"id": 1, "text": "no"})
    yield "cancel_question", cancel
    yield "expire", expire
    yield "next_deadline", next_deadline


def changing(place: TestHive) -> Iterator[Act]:
    """What is done to agents, and asked for."""
    yield call("set_status", by="coder", state="thinking")
    yield call("set_model", by="coder", model="x")
    yield call("turn_settings", by="coder")
    yield call("model", name="coder", model="x", refused=True)
    for verb in ("pause", "resume", "stop", "start", "kill", "restart", "rebuild", "update"):
        yield call(verb, name="coder")
    yield call("meta_update", inputs=["agent-coder"])
    yield call("estop")
    yield "resume all", call("resume", all=True)[1]
    yield "kick", kicked
    yield call("list")
    yield call("timeline", name="coder")
    yield call("request_commit", by="manager", agent="coder", sha="0" * 40, refused=True)
    yield call("request_commit", by="manager", agent="coder", sha="0" * 40, refused=True)
    yield call("request_commit", agent="coder", sha=place.propose("coder", OTHER))
    yield call("approvals")
    yield of_the_newest("show")
    yield of_the_newest("approve")
    yield call("rollback", name="coder")
    yield call("request_spawn", by="manager", name="helper")
    yield of_the_newest("cancel")
    yield call("request_spawn", name="helper")
    yield of_the_newest("deny")
    place.configure("helper", PLAIN)
    yield call("spawn", name="helper")
    yield call("destroy", name="helper")
    yield call("revive", name="helper")
    yield call("purge", name="helper")


def cancel(hive: Hive) -> None:
    """Close the coder's newest question."""
    coder = as_agent(hive, "coder")
    everything()["cancel_question"].call(coder, {"id": questions.questions(coder)[-1].id})


def kicked(hive: Hive) -> None:
    with hive.store.write() as db:
        kick(db, "coder", "restarted")


def newest(hive: Hive) -> int:
    with hive.store.read() as db:
        return int(db.execute("select max(id) from approvals").fetchone()[0])


def stretch(hive: Hive, seq: int, *kinds: str) -> None:
    with hive.store.read() as db:
        event_stream.stretch(db, seq, kinds)


def newest_event(hive: Hive) -> int:
    with hive.store.read() as db:
        return int(db.execute("select max(seq) from events").fetchone()[0])


def fill(hive: Hive, rows: int) -> None:
    """A history: nearly all of it is over, and much of it was the coder's."""
    pairs = [
        ("operator", "coder"),
        ("coder", "manager"),
        ("tester", "writer"),
        ("system", "manager"),
        ("coder", "coder"),
    ]
    with hive.store.write() as db:
        for number in range(rows):
            sender, recipient = pairs[number % len(pairs)]
            body = "a pomegranate tree" if number == rows // 2 else f"apple {number}"
            db.execute(
                "insert into messages (sender, recipient, body, sent_at, delivered_at, acknowledged_at, deliveries)"
                " values (?, ?, ?, 0, 0, 0, 1)",
                (sender, recipient, body),
            )
            db.execute(
                "insert into events (at, kind, agent, data) values (0, ?, 'coder', ?)",
                ("sent" if number % 2 else "started", '{"from":"coder","to":"manager","body":"apple"}'),
            )
            db.execute(
                "insert into questions (asker, target, question, options, multi, asked_at, answer, answered_at)"
                " values (?, 'operator', '?', '[]', 0, 0, 'yes', 0)",
                (sender,),
            )
            status, kind = ("denied", "spawn") if number % 2 else ("failed", "apply_commit")
            db.execute(
                "insert into approvals (agent, kind, commit_ref, requested_by, requested_at, status, note, resolved_at)"
                " values ('coder', ?, ?, 'manager', 0, ?, 'no', ?)",
                (kind, f"{number:040}", status, number if number % 3 else None),
            )


def made(place: TestHive, rows: int) -> Hive:
    place.spawn("coder")
    hive = place.inside()
    place.configure("manager", PLAIN)
    spawns.spawn_manager(hive)
    fill(hive, rows)
    return hive


@contextmanager
def traced(hive: Hive) -> Iterator[list[str]]:
    """The statements that SQLite runs in this thread meanwhile, with their values."""
    said: list[str] = []
    db = hive.store.connection()
    db.set_trace_callback(said.append)
    try:
        yield said
    finally:
        db.set_trace_callback(None)


def scans(db: sqlite3.Connection, statement: str) -> list[str]:
    """What a statement reads through from end to end, of the tables that grow."""
    if not re.match(r"\s*(select|insert|update|delete)", statement, re.IGNORECASE):
        return []
    steps = [row[3] for row in db.execute(f"explain query plan {statement}")]
    few = set(NEWEST.findall(statement))
    limited = re.search(r" limit \d+\s*$", statement) is not None and "ORDER BY" not in str(steps)
    found = [re.match(r"SCAN (\w+)(?:.* INDEX (\w+))?", step) for step in steps]
    return [
        f"{scan.string} in: {statement}"
        for scan in found
        if scan and scan[1] in (*GROWING, "m", "before") and scan[2] not in PENDING and scan[1] not in few
        if not (limited and scan[2] in FROM_THE_END)
    ]


def bodies_of_triggers(db: sqlite3.Connection) -> Iterator[str]:
    """The statements inside of triggers, which no plan shows; what they take from the row stands as a number."""
    for (text,) in db.execute("select sql from sqlite_master where type = 'trigger'"):
        body = re.sub(r"\b(new|old)\.\w+", "1", text[text.index("begin") + 5 : text.rindex("end")])
        yield from (statement.strip() for statement in body.split(";") if statement.strip())


def test_every_operation_is_among_those_whose_statements_are_looked_at(hive: TestHive) -> None:
    hive.spawn("coder")
    called = {name for name, _ in acts(hive)}
    assert called >= everything().keys() - ELSEWHERE.keys()
    assert not called & ELSEWHERE.keys()


def test_no_statement_of_an_operation_reads_through_a_table_that_grows(hive: TestHive) -> None:
    inside = made(hive, HISTORY)
    found: list[str] = []
    for name, act in acts(hive):
        with traced(inside) as statements:
            act(inside)
        assert statements, f"{name} ran no statement"
        for statement in statements:
            found += [f"{name}: {scan}" for scan in scans(inside.store.connection(), statement)]
    for statement in bodies_of_triggers(inside.store.connection()):
        found += scans(inside.store.connection(), statement)
    assert not found, "\n".join(sorted(set(found)))


def test_an_operation_makes_sqlite_do_no_more_after_a_history_twice_as_long(hive: TestHive, tmp_path) -> None:  # type: ignore[no-untyped-def]
    counts = []
    other = TestHive(tmp_path / "longer", dict(hive.extra))
    try:
        # Both hold more than is ever shown at once (the newest 500 questions, what was said among 1000 events).
        for place, rows in ((hive, HISTORY // 2), (other, HISTORY)):
            inside = made(place, rows)
            counts.append([(name, instructions(inside, act)) for name, act in acts(place)])
    finally:
        other.close()
    dear = [
        f"{name}: {before} instructions, {after} after twice as much"
        for (name, before), (_, after) in zip(*counts, strict=True)
        # Not one for each row that has come; the index of words alone has a few more segments to look into.
        if after - before >= HISTORY // 2
    ]
    assert not dear, "\n".join(dear)


def instructions(hive: Hive, act: Callable[[Hive], object]) -> int:
    """How many instructions SQLite's virtual machine carries out in this thread for it."""
    done = 0

    def step() -> None:
        nonlocal done
        done += 1

    db = hive.store.connection()
    db.set_progress_handler(step, 1)
    try:
        act(hive)
    finally:
        db.set_progress_handler(None, 1)
    return done


@pytest.mark.parametrize("unread", [0, 2000])
def test_a_full_inbox_costs_its_owner_no_more_than_what_it_takes(hive: TestHive, unread: int) -> None:
    inside = made(hive, 0)
    with inside.store.write() as db:
        for number in range(unread):
            sender = "tester" if number % 2 else "system"
            row = "insert into messages (sender, recipient, body, sent_at) values (?, 'coder', ?, 0)"
            db.execute(row, (sender, f"x{number}"))
    for name, act in (call("recv", by="coder", wait=0), call("ack", by="coder"), ("kick", kicked)):
        # Up to a thousand unread ones are counted.
        assert instructions(inside, act) < 12_000, name
