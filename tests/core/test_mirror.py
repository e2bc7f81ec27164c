"""What each event makes of the state: its rows alone, in their order, and no more of them than are kept."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.event_kinds import EVENT_KINDS
from hive_core.mirror import apply
from tests.properties import thorough

MOST = 3


def blank() -> dict[str, Any]:
    rows = "agents approvals decided questions answered operations tombstones inputs needs fan_out messages"
    state: dict[str, Any] = {name: [] for name in f"{rows} system_messages".split()}
    return {**state, "seq": 0, "limits": {"rows": MOST, "characters": 5}}


def after(*events: dict[str, Any], of: dict[str, Any] | None = None) -> dict[str, Any]:
    state = of or blank()
    for event in events:
        apply(state, {"seq": state["seq"] + 1, "at": 100 + state["seq"], **event})
    return state


def sent(number: int, body: str = "hello there", by: str = "coder") -> dict[str, Any]:
    return {"kind": "sent", "id": number, "from": by, "to": "operator", "body": body}


def need(number: int, since: int) -> dict[str, Any]:
    return {"id": f"crash/{number}", "since": since, "kind": "crash"}


def names(rows: list[dict[str, Any]], key: str = "id") -> list[Any]:
    return [row[key] for row in rows]


def test_a_message_is_shown_in_part_with_its_length_and_the_oldest_goes() -> None:
    state = after(*(sent(number) for number in range(1, MOST + 2)))
    assert names(state["messages"]) == [2, 3, 4]
    assert state["messages"][0] == {
        "id": 2, "from": "coder", "to": "operator", "body": "hello", "length": 11, "at": 101, "deliveries": 0,
    }  # fmt: skip
    assert names(after(sent(9, by="system"), of=state)["system_messages"]) == [9]
    assert names(state["messages"]) == [2, 3, 4]


def test_a_delivery_counts_at_its_message_alone() -> None:
    state = after(sent(1), sent(2, by="system"), {"kind": "delivered", "id": 2}, {"kind": "delivered", "id": 2})
    assert names(state["messages"], "deliveries") == [0]
    assert names(state["system_messages"], "deliveries") == [2]


def test_a_request_waits_until_it_is_decided_and_is_then_among_the_decided() -> None:
    added = [{"kind": "approval_added", "id": number, "agent": "a", "diff": "long"} for number in (2, 1)]
    state = after(*added)
    assert state["approvals"] == [{"id": 1, "agent": "a"}, {"id": 2, "agent": "a"}]
    state = after({"kind": "approval_resolved", "id": 2, "status": "denied", "resolved_at": 50}, of=state)
    assert names(state["approvals"]) == [1]
    assert state["decided"] == [{"id": 2, "status": "denied", "resolved_at": 50}]
    later = [{"kind": "approval_resolved", "id": 9 - number, "resolved_at": 60 + number} for number in range(MOST)]
    assert names(after(*later, of=state)["decided"]) == [9, 8, 7]


def test_an_answer_is_told_with_its_question() -> None:
    asked = {"kind": "question_added", "id": 1, "asker": "coder", "question": "which?"}
    answered = {"kind": "question_resolved", "id": 1, "answer": "this", "answered_at": 70}
    state = after(asked, answered)
    assert state["questions"] == []
    assert state["answered"] == [{"id": 1, "asker": "coder", "question": "which?", "answer": "this", "answered_at": 70}]


def test_an_operation_shows_each_step_as_it_is() -> None:
    steps = [{"step": step, "state": "waiting", "at": 1} for step in ("building", "settling")]
    began = {"kind": "transient_set", "name": "coder", "steps": steps}
    stepped = {"kind": "operation_step", "name": "coder", "step": "settling", "state": "doing", "at": 7}
    state = after(began, {**began, "name": "alpha", "steps": []}, stepped)
    assert names(state["operations"], "name") == ["alpha", "coder"]
    assert names(state["operations"][1]["steps"], "state") == ["waiting", "doing"]
    assert after({"kind": "transient_cleared", "name": "coder"}, of=state)["operations"] == [
        {"name": "alpha", "steps": []}
    ]


def test_agents_stand_in_the_order_of_their_numbers_behind_the_manager() -> None:
    rows = [{"kind": "container_state_changed", "container": {"name": name}} for name in ("w10", "manager", "w2", "a")]
    state = after(*rows)
    assert names(state["agents"], "name") == ["manager", "a", "w2", "w10"]
    state = after({"kind": "container_state_changed", "container": {"name": "w2", "running": True}}, of=state)
    assert state["agents"][2] == {"name": "w2", "running": True}
    assert names(after({"kind": "container_removed", "name": "a"}, of=state)["agents"], "name") == [
        "manager", "w2", "w10",
    ]  # fmt: skip


def test_what_is_told_as_a_whole_takes_the_place_of_what_was() -> None:
    state = after({"kind": "tombstones_changed", "tombstones": [{"name": "old"}]})
    state = after({"kind": "tombstones_changed", "tombstones": []}, of=state)
    assert after({"kind": "meta_inputs_changed", "inputs": [1]}, of=state)["inputs"] == [1]
    assert state["tombstones"] == []


def test_needs_stand_by_their_age_and_go_when_they_are_met() -> None:
    state = after(*({"kind": kind, "need": need(number, since)} for kind, number, since in (
        ("need_added", 1, 30), ("need_added", 2, 20), ("need_changed", 1, 10))))  # fmt: skip
    assert names(state["needs"]) == ["crash/1", "crash/2"]
    assert names(after({"kind": "need_resolved", "need": {"id": "crash/1"}}, of=state)["needs"]) == ["crash/2"]


def test_a_halt_lasts_until_all_is_resumed() -> None:
    state = after({"kind": "halted", "halted_at": 5})
    assert state["halted_at"] == 5
    assert "halted_at" not in after({"kind": "resumed"}, {"kind": "resumed"}, of=state)


def test_a_fan_out_changes_row_by_row() -> None:
    rows = [{"agent": name, "ok": None} for name in ("a", "b", "c")]
    state = after({"kind": "fan_out_changed", "gone": [], "rows": rows})
    changed = {
        "kind": "fan_out_changed",
        "gone": ["a"],
        "rows": [{"agent": "b", "ok": True}, {"agent": "d", "ok": None}],
    }
    assert after(changed, of=state)["fan_out"] == [
        {"agent": "b", "ok": True}, {"agent": "c", "ok": None}, {"agent": "d", "ok": None},
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["started", "login_opened", "vacuumed", "of a later version"])
def test_what_tells_the_state_nothing_moves_its_seq_alone(kind: str) -> None:
    assert after({"kind": kind, "agent": "coder"}) == {**blank(), "seq": 1}


_events = st.one_of(
    st.builds(sent, st.integers(1, 6)),
    st.builds(lambda number: {"kind": "delivered", "id": number}, st.integers(1, 6)),
    st.builds(lambda number: {"kind": "question_resolved", "id": number, "answered_at": number}, st.integers(1, 9)),
    st.builds(lambda number: {"kind": "need_added", "need": need(number, number % 3)}, st.integers(1, 4)),
    st.builds(lambda number: {"kind": "need_resolved", "need": need(number, 0)}, st.integers(1, 4)),
)


@thorough
@given(st.lists(_events, max_size=12))
def test_no_row_stands_twice_and_none_stands_beyond_what_is_kept(events: list[dict[str, Any]]) -> None:
    # Each message is sent once.
    told = [event for number, event in enumerate(events) if event["kind"] != "sent" or event not in events[:number]]
    state = after(*copy.deepcopy(told))
    for rows in (state["messages"], state["answered"], state["needs"]):
        assert len(names(rows)) == len(set(names(rows)))
    assert max(len(state["messages"]), len(state["answered"])) <= MOST
    assert state["seq"] == len(told)


def test_every_kind_that_carries_rows_of_the_state_is_known() -> None:
    carrying = {kind for kind, about in EVENT_KINDS.items() if about.whole or "container" in about.fields}
    for kind in carrying:
        fields: dict[str, Any] = {"container": {"name": "a"}, "tombstones": [1], "inputs": [1]}
        assert after({"kind": kind, **fields}) != {**blank(), "seq": 1}, kind
