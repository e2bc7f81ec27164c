"""When an agent is restarted after a crash, later each time, and when no more."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.context import Hive
from hive_fleet.agents import restarts, table
from hive_fleet.agents.ends import RunEnd
from hive_fleet.agents.restarts import FIRST, LONGEST, LOOP, LOOP_FIRST, LOOP_LONGEST, QUIET, Crash, Outlook
from tests.properties import thorough

pytestmark = pytest.mark.remembered

EXIT_3 = RunEnd("exit", "exit code 3", 3, 0.5)


@pytest.fixture
def coder(enlist: Callable[..., Hive]) -> Hive:
    """An agent that is always to be restarted, at a time that only the test moves."""
    hive = enlist("coder")
    hive.clock = lambda: 1000.0
    policy(hive, "always")
    return hive


def policy(hive: Hive, restart: str) -> None:
    with hive.store.write() as db:
        build = {"base": None, "runner": "command", "given": (), "recipients": ()}
        table.record_build(db, "coder", restart=restart, **build)


def crash(hive: Hive, end: RunEnd = EXIT_3, at: float | None = None) -> Outlook:
    if at is not None:
        hive.clock = lambda: at
    with hive.store.write() as db:
        return restarts.note(hive, db, "coder", end)


def test_each_crash_of_a_row_is_followed_by_a_longer_wait_until_it_is_a_loop(coder: Hive) -> None:
    outlooks = [crash(coder) for _ in range(LOOP + 1)]
    waits = [(each.at or 0) - 1000.0 for each in outlooks]
    assert waits[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert waits[LOOP - 1 :] == [LOOP_FIRST, 2 * LOOP_FIRST]
    assert [each.loop for each in outlooks] == [False] * (LOOP - 1) + [True] * 2
    assert [len(each.row) for each in outlooks] == list(range(1, LOOP + 2))
    with coder.store.read() as db:
        assert restarts.in_loop(table.one(db, "coder"))


@thorough
@given(st.integers(1, 10_000))
def test_no_wait_is_shorter_than_the_one_before_it_or_longer_than_a_day(crashes: int) -> None:
    assert FIRST <= restarts.delay(crashes) <= restarts.delay(crashes + 1) <= LOOP_LONGEST
    assert crashes >= LOOP or restarts.delay(crashes) <= LONGEST


def test_a_run_that_was_long_ends_the_row(coder: Hive) -> None:
    for _ in range(LOOP - 1):
        crash(coder)
    found = crash(coder, EXIT_3._replace(ran=QUIET + 1))
    assert (found.loop, len(found.row), found.at) == (False, 1, 1000.0 + FIRST)
    # As is one of which nobody knows how long it ran.
    assert len(crash(coder, EXIT_3._replace(ran=None)).row) == 1


@pytest.mark.parametrize(
    ("restart", "code", "wanted"),
    [("always", 0, True), ("always", 3, True), ("on-failure", 3, True), ("on-failure", 0, False), ("never", 3, False)],
)
def test_the_configuration_says_after_which_ends_it_is_restarted(
    coder: Hive, restart: str, code: int, wanted: bool
) -> None:
    policy(coder, restart)
    found = crash(coder, RunEnd("exit", f"exit code {code}", code, 0.5))
    assert (found.at is not None) == wanted
    assert found.lately == 1
    with coder.store.read() as db:
        assert table.one(db, "coder")["crashes"] == int(wanted)


def test_an_end_after_which_no_restart_is_wanted_is_no_crash_of_a_row(coder: Hive) -> None:
    policy(coder, "on-failure")
    for _ in range(LOOP - 1):
        crash(coder)
    assert crash(coder, RunEnd("exit", "exit code 0", 0, 0.5))[:3] == (None, False, [])
    assert len(crash(coder).row) == 1


def test_that_the_machine_went_down_counts_as_nobodys_crash(coder: Hive) -> None:
    crash(coder)
    found = crash(coder, RunEnd("machine_down", "the machine went down", None, 5.0))
    assert found.at == 1000.0 + FIRST
    with coder.store.read() as db:
        assert table.one(db, "coder")["crashes"] == 1


def test_crashes_are_remembered_for_a_day_and_the_last_hour_is_counted(coder: Hive) -> None:
    crash(coder, at=0.0)
    crash(coder, at=restarts.REMEMBERED)
    assert crash(coder, at=restarts.REMEMBERED + 60).lately == 2
    with coder.store.read() as db:
        known = restarts.remembered(table.one(db, "coder"), restarts.REMEMBERED + 60)
    assert [each.at for each in known] == [restarts.REMEMBERED, restarts.REMEMBERED + 60]


def test_no_more_crashes_are_remembered_than_a_person_would_read(coder: Hive) -> None:
    for _ in range(restarts.MOST_REMEMBERED + 5):
        crash(coder)
    with coder.store.read() as db:
        assert len(restarts.remembered(table.one(db, "coder"), 1000.0)) == restarts.MOST_REMEMBERED


def test_a_restart_that_is_due_is_taken_once_and_given_back_when_it_was_not_carried_out(coder: Hive) -> None:
    crash(coder)
    assert restarts.take_due(coder) == []
    assert restarts.soonest(coder, 60.0) == FIRST
    coder.clock = lambda: 1000.0 + FIRST
    assert restarts.soonest(coder, 60.0) == 0.0
    assert restarts.take_due(coder) == ["coder"]
    assert restarts.take_due(coder) == []
    assert restarts.soonest(coder, 60.0) == 60.0
    restarts.give_back(coder, "coder")
    assert restarts.take_due(coder) == ["coder"]


def test_who_is_not_to_run_any_more_is_not_restarted(coder: Hive) -> None:
    crash(coder)
    coder.clock = lambda: 2000.0
    with coder.store.write() as db:
        db.execute("update agents set desired = 'stopped'")
    assert restarts.take_due(coder) == []
    assert restarts.soonest(coder, 60.0) == 60.0
    restarts.give_back(coder, "coder")
    with coder.store.read() as db:
        assert table.one(db, "coder")["restart_at"] == 1000.0 + FIRST


def test_a_restart_that_was_planned_before_the_clock_was_set_back_is_due(coder: Hive) -> None:
    crash(coder, at=1_000_000.0)
    coder.clock = lambda: 1000.0
    assert restarts.take_due(coder) == ["coder"]


def test_of_a_loop_one_that_is_hours_away_is_not_taken_for_such_a_one(coder: Hive) -> None:
    for _ in range(LOOP):
        crash(coder)
    assert restarts.take_due(coder) == []


def test_who_starts_it_ends_the_row(coder: Hive) -> None:
    for _ in range(LOOP):
        crash(coder)
    with coder.store.write() as db:
        restarts.forget(db, "coder")
        row = table.one(db, "coder")
        assert (restarts.in_loop(row), row["restart_at"]) == (False, None)
    assert crash(coder).at == 1000.0 + FIRST


def test_crashes_are_explained_by_how_often_and_of_what() -> None:
    one, many = Crash(10.0, "SIGKILL"), [Crash(10.0 + each, "exit code 3") for each in range(7)]
    assert restarts.explained([one]) == "1 crash: SIGKILL"
    assert restarts.explained([*many, Crash(140.0, "out of memory")]) == (
        "8 crashes in 2 min: 7 x exit code 3, out of memory"
    )
