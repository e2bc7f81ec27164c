"""Times, sizes, counts and names as a person says them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.human import ago, clock, count, iso, natural, shorter, size, span
from tests.properties import texts, thorough


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


@thorough
@given(st.floats(0, 1e9))
def test_a_span_is_never_longer_than_what_it_tells_of_and_less_than_a_unit_shorter(seconds: float) -> None:
    number, unit = span(seconds).split()
    length = {"s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert int(number) * length <= seconds < (int(number) + 1) * length


def test_how_long_ago_something_was_is_a_span_until_now() -> None:
    assert ago(time.time() - 7300) == "2 h"
    assert ago(time.time() + 100) == "0 s"


@thorough
@given(st.floats(-100, 4e9))
def test_a_moment_of_a_journal_is_of_one_length_so_that_its_lines_sort_by_it(at: float) -> None:
    told = iso(at)
    assert len(told) == len("2026-01-31T14:30:00.000Z")
    assert told >= iso(at - 1)


@thorough
@given(texts, st.integers(2, 30))
def test_a_text_that_is_cut_begins_as_it_did(text: str, most: int) -> None:
    cut, flat = shorter(text, most), " ".join(text.split())
    assert len(cut) <= most
    assert cut == flat or (cut.endswith("…") and flat.startswith(cut[:-1]) and len(flat) > most)


@thorough
@given(st.text(alphabet="ab-", max_size=4), st.integers(0, 10**6), st.integers(0, 10**6))
def test_names_that_begin_alike_stand_in_the_order_of_their_numbers(begin: str, one: int, other: int) -> None:
    assert (natural(f"{begin}{one}") < natural(f"{begin}{other}")) == (one < other)
    # Whatever they are, names can be compared with each other.
    assert sorted([f"{begin}{one}", begin, str(other), "a"], key=natural)
