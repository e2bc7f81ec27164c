"""Where in the history the newest events begin."""

from __future__ import annotations

import pytest

from hive_core.context import Hive
from hive_core.events import before_newest, before_newest_but, emit, last_told
from tests.hives import TestHive


@pytest.fixture
def told(hive: TestHive) -> Hive:
    """A hive in which ten starts were told of, and after each a message."""
    inside = hive.inside()
    with inside.store.write() as db:
        for number in range(10):
            emit(db, "started", agent="coder")
            emit(db, "sent", **{"from": "system" if number % 2 else "coder", "to": "operator", "body": "x"})
    return inside


@pytest.mark.parametrize(("kinds", "seq"), [([], 17), (["started"], 14), (["started", "sent"], 17), (["purged"], 0)])
def test_the_newest_of_some_kinds_begin_after_a_seq(told: Hive, kinds: list[str], seq: int) -> None:
    with told.store.read() as db:
        assert before_newest(db, 3, kinds) == seq


def test_what_is_left_out_is_looked_past_but_not_for_ever(told: Hive) -> None:
    unlike = ("sent", '{"from":"system"%')
    with told.store.read() as db:
        assert before_newest_but(db, 2, ["started"], unlike, among=20) == 13
        assert before_newest_but(db, 2, ["started"], unlike, among=4) == 17
        assert before_newest_but(db, 2, ["started", "sent"], unlike, among=20) is None


def test_what_was_told_last_of_something_whole_outlives_its_event(told: Hive) -> None:
    with told.store.write() as db:
        emit(db, "tombstones_changed", tombstones=[{"name": "old"}])
        emit(db, "tombstones_changed", tombstones=[])
        db.execute("delete from events")
    with told.store.read() as db:
        assert last_told(db, "tombstones_changed") == {"tombstones": []}
        assert last_told(db, "meta_inputs_changed") is None
