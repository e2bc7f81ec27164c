"""Times, sizes, counts and names as a person says them."""

from __future__ import annotations

import time

import pytest

from hive_core.human import clock, count, natural, shorter, size, span


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (0, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h"), (86400 * 3, "3 d")],
)
def test_a_span_is_told_in_one_unit(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_a_moment_of_another_day_is_told_with_its_date() -> None:
    now = time.time()
    assert len(clock(now)) == len("12:00:00")
    assert clock(now - 400 * 86400).startswith(time.strftime("%Y-%m-%d ", time.localtime(now - 400 * 86400)))


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (5 << 20, "5.0 MiB"), (9 << 40, "9216.0 GiB")]
)
def test_a_size_is_told_in_the_largest_fitting_unit(number: int, said: str) -> None:
    assert size(number) == said


def test_one_thing_is_one_and_others_are_several() -> None:
    assert [count(number, "agent") for number in (0, 1, 2)] == ["0 agents", "1 agent", "2 agents"]


def test_names_are_sorted_by_their_numbers() -> None:
    assert sorted(["w10", "w2", "w", "a-1-b", "w1", "w2-x"], key=natural) == ["a-1-b", "w", "w1", "w2", "w2-x", "w10"]


def test_a_text_is_cut_where_it_is_too_long_and_loses_its_line_breaks() -> None:
    assert shorter("one\n  two", 20) == "one two"
    assert shorter("123456", 6) == "123456"
    assert shorter("1234567", 6) == "12345…"
