"""How long to wait after turns that ended badly."""

from __future__ import annotations

from hive_agent.runners.base import End
from hive_agent.turns.pacing import Pacing


def paced(*ends: End) -> Pacing:
    pacing = Pacing(5.0)
    for end in ends:
        pacing.note(end)
    return pacing


def test_the_back_off_doubles_begins_anew_after_something_else_and_has_an_end() -> None:
    assert paced(End.FAILED).back_off() == 5
    assert paced(End.FAILED, End.FAILED, End.FAILED).back_off() == 20
    assert paced(End.FAILED, End.FAILED, End.DONE, End.FAILED).back_off() == 5
    assert paced(*[End.FAILED] * 1000).back_off() == 300


def test_a_limit_ends_at_the_moment_it_names() -> None:
    assert paced(End.RATE_LIMITED).limit(1600.0, now=1000.0) == 1600


def test_a_limit_in_the_past_or_in_another_age_is_bounded() -> None:
    assert paced(End.RATE_LIMITED).limit(0.0, now=1000.0) == 1005
    assert paced(End.RATE_LIMITED).limit(1e18, now=1000.0) == 1000 + 6 * 3600


def test_a_limit_that_names_no_moment_is_tried_again_after_a_minute_then_two() -> None:
    assert paced(End.RATE_LIMITED).limit(None, now=0.0) == 60
    assert paced(End.RATE_LIMITED, End.RATE_LIMITED).limit(None, now=0.0) == 120
