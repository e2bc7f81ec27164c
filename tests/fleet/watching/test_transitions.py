"""What two looks at the agents conclude."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hive_fleet.agents.ends import RunEnd
from hive_fleet.agents.last_seen import Seen
from hive_fleet.watching.transitions import Verdict, transitions

UP = Seen(running=True, instance="1", logged_in=True, up_to_date=True)
DOWN = replace(UP, running=False, instance=None, end=RunEnd("signal", "SIGKILL", 137, 5.0))


@pytest.mark.parametrize(
    ("before", "now", "kinds"),
    [
        (UP, UP, []),
        (UP, DOWN, ["container_crash"]),
        (UP, replace(DOWN, busy=True), []),
        (UP, replace(DOWN, wanted=False), []),
        (UP, replace(UP, instance="2"), ["container_crash"]),
        (UP, replace(UP, instance="2", busy=True), []),
        (DOWN, UP, []),
        (DOWN, DOWN, []),
        (UP, replace(UP, logged_in=False), ["needs_login"]),
        (replace(UP, logged_in=False), UP, ["logged_in"]),
        (UP, replace(UP, up_to_date=False), ["needs_update"]),
        (replace(UP, up_to_date=False), UP, []),
        (UP, replace(DOWN, logged_in=False, up_to_date=False), ["container_crash", "needs_login", "needs_update"]),
    ],
)
def test_what_two_looks_conclude(before: Seen, now: Seen, kinds: list[str]) -> None:
    assert [verdict.kind for verdict in transitions({"a": before}, {"a": now})] == kinds


def test_an_agent_that_is_new_in_the_picture_or_gone_from_it_concludes_nothing() -> None:
    assert transitions({}, {"a": DOWN}) == []
    assert transitions({"a": UP}, {}) == []


def test_a_crash_names_its_cause() -> None:
    assert transitions({"a": UP}, {"a": DOWN}) == [
        Verdict("container_crash", "a", {"cause": "SIGKILL", "reason": "signal", "code": 137})
    ]
