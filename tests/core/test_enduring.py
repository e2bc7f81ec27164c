"""Work that nothing but its person ends: begun anew with each database, also one that came while it was begun."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from hive_core.enduring import enduring
from hive_core.events import Event, emit, since
from hive_core.trouble import Trouble
from hive_core.wake import Wake
from tests.hives import TestHive


@pytest.mark.remembered
def test_a_database_that_is_replaced_while_work_is_begun_is_begun_with_as_well(hive: TestHive) -> None:
    inside = hive.inside()
    inside.store.connection()
    begun: list[bool] = []

    def begin(again: bool) -> None:
        begun.append(again)
        if not again:
            inside.store.remove_files()
            with inside.store.write() as db:
                emit(db, "spawned", agent="coder")

    def work(wake: Wake, _seq: int, trouble: Trouble) -> Iterator[Event]:
        assert wake.file == inside.store.file()
        trouble.over()
        yield from since(inside.store.connection(), 0)

    with closing(enduring(inside, work, beside=None, begin=begin, round_=lambda: None)) as told:  # type: ignore[type-var]
        assert next(told).agent == "coder"
    assert begun == [False, True]
