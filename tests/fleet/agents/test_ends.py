"""Why a container ended: the kind of its end, and the cause in words a person reads."""

from __future__ import annotations

import signal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.base import Ended
from hive_fleet.agents.ends import OUTSIDE, RunEnd, end_of, restarted_outside
from tests.properties import thorough


def ended(code: int | None, *, memory: bool = False, down: bool = False) -> Ended:
    return Ended(code, memory, 100.0, down)


@pytest.mark.parametrize(
    ("end", "reason", "cause"),
    [
        (ended(0), "exit", "exit code 0"),
        (ended(3), "exit", "exit code 3"),
        (ended(137), "signal", "SIGKILL"),
        (ended(143), "signal", "SIGTERM"),
        # No signal has this number: it is a code that a program chose.
        (ended(255), "exit", "exit code 255"),
        (ended(137, memory=True), "out_of_memory", "out of memory"),
        (ended(None), "supervisor_killed", "its supervisor was killed"),
        (ended(None, down=True), "machine_down", "the machine went down"),
    ],
)
def test_an_end_has_a_kind_and_a_cause_in_words(end: Ended, reason: str, cause: str) -> None:
    assert (end.reason, end.cause) == (reason, cause)
    assert end_of(end, None, 90.0, 200.0)[:3] == (reason, cause, end.code)


@pytest.mark.parametrize(
    ("said", "reason", "words"),
    [
        ("rate_limited", "usage_limit", "at its usage limit"),
        ("needs_login", "lost_login", "without a login"),
        ("key_refused", "lost_login", "its key was refused"),
        ("account_trouble", "account_trouble", "its account is in trouble"),
    ],
)
def test_what_its_harness_said_last_explains_an_end_by_itself(said: str, reason: str, words: str) -> None:
    assert end_of(ended(1), said, None, 0.0) == RunEnd(reason, f"exit code 1, {words}", 1, None)
    # Of one that was ended from outside, or ended well, it explains nothing.
    for other in (ended(0), ended(137), ended(None), ended(1, memory=True)):
        assert end_of(other, said, None, 0.0).reason == other.reason


def test_how_long_it_ran_is_told_as_far_as_that_is_known() -> None:
    assert end_of(ended(1), None, 90.0, 500.0).ran == 10.0
    # Nobody saw the end: it ran until now, at the most.
    assert end_of(ended(None), None, 90.0, 500.0).ran == 410.0
    assert end_of(ended(1), None, None, 500.0).ran is None
    # A clock that was set back.
    assert end_of(ended(1), None, 300.0, 500.0).ran == 0.0


def test_one_that_runs_again_and_nobody_of_hive_s_has_started_it_was_restarted_outside() -> None:
    assert restarted_outside(90.0, 100.0) == RunEnd("restarted_outside", OUTSIDE, None, 10.0)
    assert restarted_outside(None, 100.0).ran is None


@thorough
@given(st.integers(0, 255) | st.none(), st.booleans(), st.booleans())
def test_every_end_has_a_cause_and_a_signal_is_named_as_the_system_does(
    code: int | None, memory: bool, down: bool
) -> None:
    end = ended(code, memory=memory, down=down)
    assert end.cause
    named = end.reason == "signal"
    assert named == (not memory and code is not None and (code - 128) in {each.value for each in signal.Signals})
    if named and code is not None:
        assert end.cause == signal.Signals(code - 128).name
