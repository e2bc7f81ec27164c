"""One agent in full: how it is, why, how often it crashed, what it wrote last, and what to do."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given

from hive_core.containers.base import Container
from hive_core.human import elapsed
from hive_fleet.agents.condition import Condition
from hive_fleet.agents.ends import RunEnd
from hive_fleet.agents.restarts import Crash
from hive_fleet.agents.status import of_stray
from tests.properties import texts, thorough

AGENT = replace(of_stray(Container("coder", False, None, "a" * 40, None, None, None)), unknown=None)
NOW = elapsed(0)
END = RunEnd("exit", "exit code 3", 3, 0.5)


def crashed(now: float) -> Condition:
    return Condition(
        replace(AGENT, failed=True, cause="exit code 3"),
        [Crash(now - 200, "exit code 3"), Crash(now - 120, "exit code 3")],
        END,
        now - 120,
        ["first", "last"],
    )


def test_a_crash_is_told_with_its_cause_how_often_and_its_last_lines() -> None:
    assert crashed(elapsed(0)).text().splitlines() == [
        "coder: failed (exit code 3)",
        "ended 2 min ago: exit code 3",
        "2 crashes in 1 min: 2 x exit code 3, the last 2 min ago",
        "the last that it wrote:",
        "  | first",
        "  | last",
        "`hive journal coder` has more; `hive start coder` starts it, and forgets its crashes",
    ]


def test_of_one_that_is_fine_there_is_a_line() -> None:
    fine = Condition(replace(AGENT, running=True), [], None, None, [])
    assert fine.text() == "coder: running"
    assert {"crashes", "journal"} <= set(fine.wire())
    assert "end" not in fine.wire()


def test_one_that_makes_no_progress_can_be_nudged() -> None:
    stuck = Condition(replace(AGENT, running=True, turn="thinking", stuck_since=int(NOW) - 60), [], None, None, [])
    assert stuck.text().splitlines()[-1].startswith("`hive nudge coder`")


def test_whatever_it_lacks_is_told_with_what_to_type() -> None:
    lacking = replace(AGENT, running=True, needs_login=True, needs_update=True, paused=True)
    assert Condition(lacking, [], None, None, []).text().splitlines()[1:] == [
        "needs a login: `hive login coder`",
        "was built with another hive than there is now: `hive update --stale`",
        "`hive resume coder` has it start turns again",
    ]
    assert Condition(AGENT, [], None, None, []).text().splitlines() == [
        "coder: stopped",
        "`hive start coder` starts it",
    ]
    assert Condition(replace(AGENT, halted=True), [], None, None, []).text() == "coder: halted, `hive resume --all`"


def test_on_the_wire_it_is_the_row_of_the_list_and_what_explains_it() -> None:
    found = crashed(NOW).wire()
    assert found["name"] == "coder"
    assert found["end"] == {"reason": "exit", "cause": "exit code 3", "code": 3, "at": int(NOW - 120)}
    assert found["crashes"][-1] == {"at": int(NOW - 120), "cause": "exit code 3"}
    assert found["journal"] == ["first", "last"]


@thorough
@given(texts)
def test_what_it_wrote_cannot_pass_for_what_is_said_of_it(line: str) -> None:
    told = replace(crashed(NOW), lines=[line]).text().split("\n")
    begin = told.index("the last that it wrote:") + 1
    assert all(each.startswith("  | ") for each in told[begin:-1])
    assert told[-1].startswith("`hive journal coder`")
