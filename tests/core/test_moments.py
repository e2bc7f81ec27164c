"""Moments as a person gives them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.errors import Invalid
from hive_core.moments import HOW, Moment, moment, seq_or_moment
from tests.properties import thorough


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("5min", 300), ("5m", 300), ("2h", 7200), ("2 h ago", 7200), ("3d", 259200), ("1w", 604800)],
)
def test_how_long_ago(text: str, seconds: int) -> None:
    assert abs(moment(text).at - (time.time() - seconds)) < 5


def test_days_times_and_dates() -> None:
    assert moment("2026-01-31T14:30:00Z").at == 1769869800
    assert moment("2026-01-31T15:30:00+01:00").at == 1769869800
    today = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
    assert moment("today").at == today
    assert moment("14:30").at == moment("14:30:00").at
    assert 0 <= moment("9:05").at - today - 9 * 3600 - 300 <= 3600
    assert moment("yesterday").at < today


@pytest.mark.parametrize("text", ["", "soon", "5", "2026-99-01", None, 7, "5 parsecs", "1" * 30 + "h"])
def test_what_is_none_is_refused(text: object) -> None:
    with pytest.raises(Invalid):
        moment(text)


def test_a_number_is_the_seq_of_an_event_however_it_is_spelt() -> None:
    assert seq_or_moment(7) == seq_or_moment("7") == 7
    assert isinstance(seq_or_moment("7h"), Moment)
    for value in (-1, True, "soon", 1.5):
        with pytest.raises(Invalid):
            seq_or_moment(value)


@thorough
@given(st.text(alphabet="0123456789smhdwiag :-TZ+.", max_size=22))
def test_whatever_is_typed_is_a_moment_or_refused_with_how_to_give_one(text: str) -> None:
    try:
        found = moment(text)
    except Invalid as refused:
        hint = refused.hint
    else:
        assert isinstance(found.at, float)
        return
    assert hint == HOW


@thorough
@given(st.integers(0, 10**18 - 1))
def test_a_seq_is_a_number_of_eighteen_digits_at_the_most(number: int) -> None:
    assert seq_or_moment(number) == seq_or_moment(f" {number} ") == number
    with pytest.raises(Invalid, match="neither the seq of an event nor a moment"):
        seq_or_moment(number + 10**18)
