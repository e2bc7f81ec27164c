"""Steps: pure functions of what was and what is reached."""

from __future__ import annotations

from hive_core import steps
from hive_core.steps import Step, Steps

NAMES = ("receiving", "building", "switching", "settling")


def states(found: Steps) -> list[str]:
    return [step.state for step in found]


def test_the_first_step_begins_with_the_operation_and_the_others_wait() -> None:
    assert steps.planned(NAMES, 1.0)[:2] == (Step("receiving", "doing", 1.0), Step("building", "waiting", 1.0))
    assert steps.planned((), 1.0) == ()


def test_reaching_a_step_ends_the_one_before_and_skips_what_lies_between() -> None:
    begun = steps.planned(NAMES, 1.0)
    later = steps.reached(begun, "switching", 2.0)
    assert states(later) == ["done", "skipped", "doing", "waiting"]
    assert [step.at for step in later] == [2.0, 2.0, 2.0, 1.0]
    assert [step.step for step in steps.news(begun, later)] == ["receiving", "building", "switching"]
    assert steps.current(later) == Step("switching", "doing", 2.0)


def test_an_unknown_step_and_one_that_was_reached_before_change_nothing() -> None:
    later = steps.reached(steps.planned(NAMES, 1.0), "switching", 2.0)
    for name in ("receiving", "building", "switching", "brewing"):
        assert steps.reached(later, name, 3.0) == later


def test_what_was_cut_off_stays_at_its_step_whatever_is_done_to_mend_it() -> None:
    failed = steps.cut_off(steps.reached(steps.planned(NAMES, 1.0), "building", 2.0), 3.0)
    assert states(failed) == ["done", "failed", "waiting", "waiting"]
    assert steps.current(failed) == Step("building", "failed", 3.0)
    assert steps.reached(failed, "switching", 4.0) == failed
    assert steps.ended(failed, 4.0) == steps.cut_off(failed, 4.0) == failed


def test_the_last_step_is_done_with_the_operation() -> None:
    last = steps.reached(steps.planned(NAMES, 1.0), "settling", 2.0)
    assert states(steps.ended(last, 3.0)) == ["done", "skipped", "skipped", "done"]
    assert steps.current(steps.ended(last, 3.0)) is None


def test_steps_are_read_as_they_were_written() -> None:
    written = steps.planned(NAMES, 1.5)
    assert steps.from_json(steps.to_json(written)) == written
