"""Backing off: longer pauses with every failure, up to the longest, and a short one again after a success."""

from __future__ import annotations

from hive_agent.back_off import BackOff, pause_after


def test_each_failure_is_followed_by_a_pause_twice_as_long_up_to_the_longest() -> None:
    tries = BackOff(0.25, 2.0)
    assert [tries.failed() for _ in range(6)] == [0.25, 0.5, 1.0, 2.0, 2.0, 2.0]


def test_after_a_success_the_pauses_begin_anew() -> None:
    tries = BackOff(1.0, 300.0)
    for _ in range(5):
        tries.failed()
    tries.succeeded()
    assert [tries.failed(), tries.failed()] == [1.0, 2.0]


def test_what_fails_for_ever_waits_for_the_longest_pause_and_no_longer() -> None:
    assert pause_after(10**6, 10.0, 3600.0) == 3600.0


def test_no_pause_is_shorter_than_the_first_or_longer_than_the_longest() -> None:
    assert [pause_after(failures, 5.0, 300.0) for failures in (0, 1)] == [5.0, 5.0]
    assert pause_after(1, 5.0, 2.0) == 2.0
