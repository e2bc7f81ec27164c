"""What codex's messages mean, as the real program wrote them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.runners.base import End, TurnEvent
from hive_agent.runners.codex_events import CodexTurn, events
from hive_agent.runners.json_lines import Json, dump, parse
from tests.properties import documents, thorough


def told(method: str, **params: object) -> Json:
    return {"method": method, "params": params, "emittedAtMs": 1795259740133}


def ended(status: str, info: object = None, message: str = "why") -> Json:
    error = None if status == "completed" else {"message": message, "codexErrorInfo": info, "additionalDetails": None}
    return told("turn/completed", turn={"id": "t", "status": status, "error": error, "durationMs": 33})


def test_a_tool_of_an_mcp_server_is_a_call_and_a_result() -> None:
    item = {"type": "mcpToolCall", "id": "call_1", "server": "hive", "tool": "send", "arguments": {"to": "operator"}}
    done = {**item, "status": "completed", "result": {"content": [{"type": "text", "text": "sent"}]}, "error": None}
    broken = {**item, "status": "failed", "result": None, "error": {"message": "no such agent"}}
    assert [*events(told("item/started", item=item))] == [
        TurnEvent("tool_call", {"id": "call_1", "name": "mcp__hive__send", "input": {"to": "operator"}})
    ]
    assert [*events(told("item/completed", item=done))] == [
        TurnEvent("tool_result", {"id": "call_1", "text": "sent", "is_error": False})
    ]
    assert [*events(told("item/completed", item=broken))] == [
        TurnEvent("tool_result", {"id": "call_1", "text": "no such agent", "is_error": True})
    ]


def test_a_command_is_a_call_and_its_output_the_result() -> None:
    item = {"type": "commandExecution", "id": "c", "command": "/bin/bash -lc 'exit 3'", "status": "inProgress"}
    done = {**item, "status": "failed", "aggregatedOutput": "hi\n", "exitCode": 3}
    (call,) = events(told("item/started", item=item))
    (result,) = events(told("item/completed", item=done))
    assert call.data["input"] == {"command": "/bin/bash -lc 'exit 3'"}
    assert result.data == {"id": "c", "text": "hi\n", "is_error": True}


def test_what_is_said_thought_and_warned_of_is_kept() -> None:
    assert [*events(told("item/completed", item={"type": "agentMessage", "text": "hello"}))] == [
        TurnEvent("text", {"text": "hello"})
    ]
    thought = {"type": "reasoning", "summary": ["First", "then"], "content": []}
    assert [*events(told("item/completed", item=thought))] == [TurnEvent("thinking", {"text": "First\nthen"})]
    assert [*events(told("warning", message="old model"))] == [TurnEvent("note", {"text": "old model"})]
    assert [*events(told("item/completed", item={"type": "userMessage", "content": []}))] == []


def test_another_try_is_told_and_decides_nothing() -> None:
    error = {"message": "Reconnecting... 1/5", "codexErrorInfo": {"responseStreamDisconnected": {}}}
    assert [event.kind for event in events(told("error", error=error, willRetry=True))] == ["retry"]
    assert [*events(told("error", error=error, willRetry=False))] == []


def test_a_compaction_shows_while_it_lasts_and_is_remembered() -> None:
    item = {"type": "contextCompaction", "id": "c"}
    reading = CodexTurn()
    reading.note(told("item/started", item=item))
    assert not reading.compacted
    reading.note(told("item/completed", item=item))
    assert reading.compacted
    assert [event.kind for event in events(told("item/started", item=item))] == ["compacting"]
    assert [event.kind for event in events(told("item/completed", item=item))] == ["compacted"]


def test_a_turn_that_is_completed_ends_with_the_last_word() -> None:
    reading = CodexTurn()
    for text in ("first", "last"):
        reading.note(told("item/completed", item={"type": "agentMessage", "text": text}))
    outcome = reading.outcome(ended("completed"))
    assert (outcome.end, outcome.detail) == (End.DONE, "last")


@pytest.mark.parametrize(
    ("info", "end"),
    [
        ("contextWindowExceeded", End.PROMPT_TOO_LONG),
        ("unauthorized", End.LOGGED_OUT),
        ({"httpConnectionFailed": {"httpStatusCode": 401}}, End.LOGGED_OUT),
        ("usageLimitExceeded", End.RATE_LIMITED),
        ({"responseTooManyFailedAttempts": {"httpStatusCode": 429}}, End.RATE_LIMITED),
        ({"httpConnectionFailed": {"httpStatusCode": 503}}, End.UNAVAILABLE),
        ({"httpConnectionFailed": {"httpStatusCode": None}}, End.UNAVAILABLE),
        ("serverOverloaded", End.UNAVAILABLE),
        ("internalServerError", End.UNAVAILABLE),
        ({"httpConnectionFailed": {"httpStatusCode": 402}}, End.ACCOUNT),
        ({"httpConnectionFailed": {"httpStatusCode": 403}}, End.ACCOUNT),
        ({"httpConnectionFailed": {"httpStatusCode": 404}}, End.FAILED),
        ({"activeTurnNotSteerable": {"turnKind": "review"}}, End.FAILED),
        ("other", End.FAILED),
        ("a word of a later version", End.FAILED),
        ({}, End.FAILED),
        (None, End.FAILED),
    ],
)
def test_the_kind_of_an_error_says_how_the_turn_ended(info: object, end: End) -> None:
    outcome = CodexTurn().outcome(ended("failed", info))
    assert (outcome.end, outcome.detail, outcome.until) == (end, "why", None)


def test_a_limit_ends_when_the_last_of_those_that_are_used_up_does() -> None:
    reading = CodexTurn()
    windows = {
        "primary": {"usedPercent": 100, "resetsAt": 1795300000},
        "secondary": {"usedPercent": 40, "resetsAt": 1795900000},
    }
    reading.note(told("account/rateLimits/updated", rateLimits=windows))
    assert reading.outcome(ended("failed", "usageLimitExceeded")).until == 1795300000
    assert reading.outcome(ended("failed", "other")).until is None
    windows["secondary"]["usedPercent"] = 100
    reading.note(told("account/rateLimits/updated", rateLimits=windows))
    assert reading.outcome(ended("failed", "usageLimitExceeded")).until == 1795900000


def test_only_an_end_that_was_asked_for_is_a_cancelled_turn() -> None:
    assert CodexTurn(cancelling=True).outcome(ended("interrupted")).end is End.CANCELLED
    assert CodexTurn(cancelling=True).outcome(ended("completed")).end is End.DONE
    assert CodexTurn().outcome(ended("interrupted")).end is End.FAILED


@pytest.mark.parametrize(
    "params",
    [None, [], {"item": 7}, {"item": {"type": "mcpToolCall", "result": {"content": 7}}}, {"turn": {"error": "x"}}],
)
def test_what_has_another_form_than_expected_breaks_nothing(params: object) -> None:
    for method in ("item/started", "item/completed", "error", "account/rateLimits/updated", "turn/completed"):
        message = {"method": method, "params": params}
        reading = CodexTurn()
        assert all(isinstance(event, TurnEvent) for event in events(message))
        reading.note(message)
        assert reading.outcome(message).end is End.FAILED


_METHODS = ["item/started", "item/completed", "error", "warning", "account/rateLimits/updated", "turn/started"]
_KINDS = ["agentMessage", "reasoning", "contextCompaction", "mcpToolCall", "commandExecution", "fileChange"]
_items = st.fixed_dictionaries(
    {"type": st.sampled_from(_KINDS)},
    optional={name: documents() for name in ("text", "summary", "result", "error", "changes", "status")},
)
_windows = st.fixed_dictionaries({"usedPercent": documents(), "resetsAt": documents()})
_errors = st.fixed_dictionaries(
    {
        "codexErrorInfo": st.fixed_dictionaries({"x": st.fixed_dictionaries({"httpStatusCode": documents()})})
        | documents()
    }
)
_params = documents() | st.fixed_dictionaries(
    {},
    optional={
        "item": _items | documents(),
        "rateLimits": st.fixed_dictionaries({"primary": _windows}) | documents(),
        "turn": st.fixed_dictionaries({"status": st.just("failed"), "error": _errors}) | documents(),
        "willRetry": documents(),
        "error": documents(),
    },
)


@thorough
@given(st.sampled_from([*_METHODS, "turn/completed"]), _params)
def test_whatever_a_later_version_tells_is_an_event_that_can_be_kept_or_nothing(method: str, params: object) -> None:
    message = {"method": method, "params": params}
    for event in events(message):
        assert parse(dump(event.data)) == event.data
    reading = CodexTurn()
    reading.note(message)
    assert reading.outcome(message).end in End
