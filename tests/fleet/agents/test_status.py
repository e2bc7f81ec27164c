"""How an agent is, in a word and a few badges: what a list shows of everything the database and a look know."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core import steps, wire
from hive_core.containers.base import Container
from hive_fleet.agents.status import AgentStatus, StatusRow, of_stray
from tests.properties import texts, thorough

STRAY = of_stray(Container("coder", False, None, "a" * 40, None, None, None))
STOPPED = replace(STRAY, unknown=None)
RUNNING = replace(STOPPED, running=True, turn="idle")
CRASHED = replace(STOPPED, failed=True, cause="exit code 3")


def at_step(*, cut_off: bool) -> AgentStatus:
    plan = steps.reached(steps.planned(["receiving", "building"], 1.0), "building", 2.0)
    shown = steps.cut_off(plan, 3.0) if cut_off else plan
    return replace(STOPPED, operation="rebuilding", operation_step="building", operation_steps=shown)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (STOPPED, "stopped"),
        (RUNNING, "running"),
        (CRASHED, "failed"),
        (replace(CRASHED, restart_at=0), "failed, restart is due"),
        (replace(CRASHED, crash_loop=True), "crash loop, `hive start coder`"),
        (replace(STOPPED, halted=True), "halted, `hive resume --all`"),
        # What is being done to it says more than how it is.
        (replace(RUNNING, operation="stopping"), "stopping"),
        (at_step(cut_off=False), "rebuilding · building"),
        (at_step(cut_off=True), "rebuilding · mending after building"),
        (STRAY, "stopped, not in the database"),
        (replace(STRAY, running=True), "running, not in the database"),
    ],
)
def test_a_state_is_a_word_and_what_the_operator_can_do(status: AgentStatus, state: str) -> None:
    assert status.state == state


def test_a_restart_to_come_is_told_by_how_far_it_is() -> None:
    assert replace(CRASHED, restart_at=int(time.time()) + 130).state == "failed, restart in 2 min"
    assert replace(CRASHED, crash_loop=True, restart_at=int(time.time()) + 7300).state == (
        "crash loop, `hive start coder`, else in 2 h"
    )


@pytest.mark.parametrize(
    ("more", "badges"),
    [
        ({}, ""),
        ({"turn": "thinking"}, "thinking"),
        ({"turn": "rate_limited"}, "rate limited"),
        # Its own badge says so already.
        ({"turn": "needs_login", "needs_login": True}, "needs login"),
        ({"turn": "key_refused", "status_text": "The key\nwas refused."}, "key refused, The key\\nwas refused"),
        ({"turn": "thinking", "status_text": "not shown while it thinks"}, "thinking"),
        ({"needs_update": True, "paused": True}, "needs update, paused"),
        ({"cause": "SIGKILL"}, "SIGKILL"),
        ({"repair": "no space"}, "left half-done, `hive doctor`"),
        ({"port_taken": 8101}, "port 8101 is another program's"),
    ],
)
def test_badges_are_what_wants_the_operators_eye(more: dict[str, Any], badges: str) -> None:
    assert replace(RUNNING, **more).badges == badges


def test_a_badge_with_a_time_tells_it_as_a_clock_does() -> None:
    until = int(time.mktime((2026, 1, 31, 14, 30, 5, 0, 0, -1)))
    assert replace(RUNNING, turn="rate_limited", turn_until=until).badges == "rate limited until 14:30:05"
    assert replace(RUNNING, turn="account_trouble", turn_until=until).badges == "account trouble, next try at 14:30:05"
    stuck = replace(RUNNING, turn="thinking", stuck_since=int(time.time()) - 7300)
    assert stuck.badges == "thinking, stuck for 2 h, `hive nudge coder`"


@thorough
@given(texts, st.sampled_from(["idle", "no_program", "thinking"]))
def test_what_an_agent_says_of_itself_stays_one_short_line(said: str, turn: str) -> None:
    shown = replace(RUNNING, turn=turn, status_text=said * 5).badges
    assert shown.isprintable()
    assert len(shown) <= 60 + len("no program, ")


def test_in_a_line_an_agent_is_its_name_its_state_and_its_badges() -> None:
    assert RUNNING.text() == "coder: running"
    assert replace(CRASHED, paused=True).text() == "coder: failed (paused, exit code 3)"


def test_on_the_wire_the_row_comes_first_in_its_order_and_what_is_null_is_absent() -> None:
    row = wire.plain(replace(RUNNING, parent="manager", url="http://127.0.0.1:8101/"))
    known = [name for name in StatusRow.__dataclass_fields__ if name in row]
    assert list(row)[: len(known)] == known
    assert None not in row.values()
    assert row["deployed_sha"] == "a" * 12
    assert {"active_model", "status_text", "status_set_at", "repair"}.isdisjoint(row)
