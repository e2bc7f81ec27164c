"""The events as they are asked for: whatever index answers it, it is what a list of them would say."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hive_core import events, old_events
from hive_core.store import Store
from tests.properties import thorough

KINDS, AGENTS = ("sent", "started", "killed"), ("coder", "tester")


class Told(NamedTuple):
    """An event, as the list has it."""

    seq: int
    at: float
    kind: str
    agent: str | None
    data: str


# Steps ahead for each of them: what was forgotten leaves holes. A clock may go back.
_steps = st.tuples(st.integers(1, 3), st.integers(0, 9), st.sampled_from(KINDS), st.sampled_from([*AGENTS, None]))


def numbered(steps: list[tuple[int, int, str, str | None]]) -> list[Told]:
    found, seq = [], 0
    for ahead, at, kind, agent in steps:
        seq += ahead
        found.append(Told(seq, float(at), kind, agent, json.dumps({"to": f"{seq % 3}"})))
    return found


histories = st.lists(_steps, max_size=12).map(numbered)
some_kinds, some_agents = (st.lists(st.sampled_from(each), unique=True) for each in (KINDS, AGENTS))
most = st.integers(1, 5)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("store") / "hive.db")
    yield made
    made.close()


@contextmanager
def holding(store: Store, history: list[Told]) -> Iterator[sqlite3.Connection]:
    """A database with these events and no others, nothing of which is kept."""
    with store.read() as db:
        db.execute("savepoint test")
        try:
            db.executemany("insert into events (seq, at, kind, agent, data) values (?, ?, ?, ?, ?)", history)
            yield db
        finally:
            db.execute("rollback to test")
            db.execute("release test")


def seqs(found: Iterator[events.Event]) -> list[int]:
    return [event.seq for event in found]


@thorough
@given(histories, st.integers(0, 40), some_kinds, some_agents, most)
def test_those_after_a_seq_are_those_that_were_asked_for_in_their_order(
    store: Store, history: list[Told], after: int, kinds: list[str], agents: list[str], limit: int
) -> None:
    wanted = [
        told
        for told in history
        if told.seq > after and told.kind in (kinds or KINDS) and (not agents or told.agent in agents)
    ]
    with holding(store, history) as db:
        found = list(events.since(db, after, kinds, limit, agents=agents))
        heads = events.heads(db, after, limit)
        named = events.agents_of(db, KINDS, after)
    assert [(event.seq, event.at, event.kind, event.agent) for event in found] == [told[:4] for told in wanted[:limit]]
    assert heads == [(told.seq, told.kind, told.agent) for told in history if told.seq > after][:limit]
    assert named == {told.agent for told in history if told.seq > after}


@thorough
@given(histories, some_kinds, st.lists(st.sampled_from(AGENTS), unique=True, min_size=1), most)
def test_where_the_newest_begin_is_where_a_list_would_say(
    store: Store, history: list[Told], kinds: list[str], agents: list[str], limit: int
) -> None:
    of_kind = [told for told in history if told.kind in (kinds or KINDS)]
    about = [told for told in of_kind if told.agent in agents]
    with holding(store, history) as db:
        before = events.before_newest(db, limit, kinds)
        before_about = events.before_newest_about(db, limit, agents, kinds)
        assert seqs(events.since(db, before, kinds)) == [told.seq for told in of_kind[-limit:]]
        assert seqs(events.since(db, before_about, kinds, agents=agents)) == [told.seq for told in about[-limit:]]
        for kind in kinds:
            newest = [told.seq for told in history if told.kind == kind and told.agent == agents[0]]
            assert seqs(events.newest_about(db, agents[0], kind, limit)) == newest[::-1][:limit]
        assert events.newest(db) == max([told.seq for told in history], default=0)
        assert events.newest_at(db) == (history[-1].at if history else None)
        assert events.newest_of(db, kinds or KINDS) == max([told.seq for told in of_kind], default=0)
        assert [events.tell_of(db, name) for name in AGENTS] == [
            any(told.agent == name for told in history) for name in AGENTS
        ]


@thorough
@given(histories, some_kinds, most, st.integers(1, 8))
def test_what_is_left_out_is_looked_past_among_so_many(
    store: Store, history: list[Told], kinds: list[str], limit: int, among: int
) -> None:
    looked_at = history[-among:]
    left = [
        told
        for told in looked_at
        if told.kind not in kinds and not (told.kind == "sent" and told.data == '{"to": "0"}')
    ]
    with holding(store, history) as db:
        before = events.before_newest_but(db, limit, kinds, ("sent", '%"to": "0"%'), among=among)
    assert before == (left[-limit:][0].seq - 1 if left else None)


@thorough
@given(histories.map(lambda history: [told._replace(at=float(n // 2)) for n, told in enumerate(history)]), most)
def test_those_since_a_moment_are_all_that_were_told_then_or_later(
    store: Store, history: list[Told], moment: int
) -> None:
    with holding(store, history) as db:
        found = seqs(events.since(db, events.before_moment(db, float(moment))))
    assert found == [told.seq for told in history if told.at >= moment]


# Each is written to the disk.
@settings(thorough, max_examples=20)
@given(histories, st.integers(0, 10))
def test_what_is_old_is_forgotten_and_it_is_known_up_to_where(store: Store, history: list[Told], before: int) -> None:
    with store.write() as db:
        db.execute("delete from events")
        db.execute("delete from snapshots")
        db.execute("delete from sqlite_sequence")
        db.executemany("insert into events (seq, at, kind, agent, data) values (?, ?, ?, ?, ?)", history)
    old = list(old_events.old(store, float(before)))
    assert old == [told.seq for told in history if told.at < before]
    with store.write() as db:
        assert old_events.measure(db, old) == sum(len(told.data) for told in history if told.at < before)
        assert old_events.forgotten(db) == 0
        if old:
            assert old_events.forget(db, old) == len(old)
            # Again is as good as once.
            assert old_events.forget(db, old[:1]) == 0
        assert seqs(events.since(db, 0)) == [told.seq for told in history if told.at >= before]
        assert old_events.forgotten(db) == max(old, default=0)
        # Where none is left it is still known how far it was.
        kept = [told.seq for told in history if told.at >= before] or [told.seq for told in history]
        assert events.newest(db) == max(kept, default=0)
