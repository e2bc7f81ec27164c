"""What claude's lines mean: what is kept of a turn, and how it ended. Whatever else they hold breaks nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.runners.base import End, TurnEvent
from hive_agent.runners.claude_events import ClaudeTurn, events
from hive_agent.runners.json_lines import Json, dump, parse
from tests.properties import documents, thorough


def said(*blocks: Json) -> Json:
    return {"type": "assistant", "message": {"role": "assistant", "content": list(blocks)}}


def result(*, is_error: bool = True, **fields: object) -> Json:
    # As the real one: a subtype of "success" whatever came of it.
    return {"type": "result", "subtype": "success", "is_error": is_error, **fields}


def test_what_is_said_thought_and_called_is_kept_in_its_order() -> None:
    line = said(
        {"type": "thinking", "thinking": "Hm."},
        {"type": "text", "text": "Hello"},
        {"type": "tool_use", "id": "t1", "name": "mcp__hive__send", "input": {"to": "operator"}},
        {"type": "of a later version"},
    )
    assert [*events(line)] == [
        TurnEvent("thinking", {"text": "Hm."}),
        TurnEvent("text", {"text": "Hello"}),
        TurnEvent("tool_call", {"id": "t1", "name": "mcp__hive__send", "input": {"to": "operator"}}),
    ]


def test_what_a_tool_returned_is_text_whatever_it_was_made_of() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "image", "source": {}}]
    line = {"type": "user", "message": {"content": [{"type": "tool_result", "tool_use_id": "t1", "content": parts}]}}
    assert [*events(line)] == [TurnEvent("tool_result", {"id": "t1", "text": "one\n(image)", "is_error": False})]
    line["message"]["content"][0] |= {"content": "plain", "is_error": True}  # type: ignore[index]
    assert [*events(line)] == [TurnEvent("tool_result", {"id": "t1", "text": "plain", "is_error": True})]


def test_what_was_said_in_an_earlier_turn_is_not_kept_again() -> None:
    content = [{"type": "tool_result", "tool_use_id": "t1", "content": "x"}]
    assert [*events({"type": "user", "isReplay": True, "message": {"content": content}})] == []


def test_the_beginning_tells_the_model_and_which_servers_it_reached() -> None:
    line = {"type": "system", "subtype": "init", "model": "m", "mcp_servers": [{"name": "hive", "status": "connected"}]}
    assert [*events(line)] == [TurnEvent("model", {"model": "m", "mcp_servers": {"hive": "connected"}})]


def test_a_compaction_is_told_when_it_begins_and_how_it_ended() -> None:
    begun = {"type": "system", "subtype": "status", "status": "compacting"}
    done = {"type": "system", "subtype": "status", "status": None, "compact_result": "failed", "compact_error": "why"}
    assert [*events(begun), *events(done)] == [
        TurnEvent("compacting"),
        TurnEvent("compacted", {"result": "failed", "error": "why"}),
    ]
    turn = ClaudeTurn()
    turn.note(begun, "mark")
    assert turn.compacted is None
    turn.note(done, "mark")
    assert turn.compacted == "failed"


def test_further_tries_and_limits_are_kept() -> None:
    retry = {"type": "system", "subtype": "api_retry", "attempt": 2, "error_status": 529, "uuid": "x"}
    (event,) = events(retry)
    assert event.kind == "retry"
    assert (event.data["attempt"], event.data["error_status"], event.data["error"]) == (2, 529, None)
    info = {"status": "allowed", "resetsAt": 1795300000}
    assert [*events({"type": "rate_limit_event", "rate_limit_info": info})] == [TurnEvent("rate_limit", info)]


@pytest.mark.parametrize(
    ("fields", "error", "end"),
    [
        ({"is_error": False, "result": "Done."}, None, End.DONE),
        ({"terminal_reason": "prompt_too_long"}, None, End.PROMPT_TOO_LONG),
        ({"api_error_status": 400, "result": "Your credit balance is too low"}, None, End.ACCOUNT),
        ({"api_error_status": 400, "result": "Something else"}, None, End.FAILED),
        ({"api_error_status": 401}, None, End.LOGGED_OUT),
        ({"result": "Not logged in"}, "authentication_failed", End.LOGGED_OUT),
        ({"api_error_status": 402}, None, End.ACCOUNT),
        ({"api_error_status": 403}, None, End.ACCOUNT),
        ({}, "oauth_org_not_allowed", End.ACCOUNT),
        ({}, "billing_error", End.ACCOUNT),
        ({"api_error_status": 429}, None, End.RATE_LIMITED),
        ({}, "rate_limit", End.RATE_LIMITED),
        ({"api_error_status": 529}, None, End.UNAVAILABLE),
        # What a service that is down says of credit is not about the account.
        ({"api_error_status": 503, "result": "credit balance"}, None, End.UNAVAILABLE),
        ({}, "server_error", End.UNAVAILABLE),
        ({"api_error_status": "429"}, None, End.FAILED),
        ({}, "a word of a later version", End.FAILED),
    ],
)
def test_how_a_turn_ended_follows_from_what_was_said_of_it(fields: Json, error: str | None, end: End) -> None:
    turn = ClaudeTurn()
    turn.note({"type": "assistant", "error": error, "message": {"content": []}}, "mark")
    outcome = turn.outcome(result(**fields))
    assert outcome.end is end
    assert outcome.detail == str(fields.get("result") or fields.get("terminal_reason") or "it failed without a reason")


def test_only_a_limit_that_refused_says_until_when() -> None:
    turn = ClaudeTurn()
    turn.note({"type": "rate_limit_event", "rate_limit_info": {"status": "allowed", "resetsAt": 1}}, "mark")
    assert turn.outcome(result(api_error_status=429)).until is None
    turn.note({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": 1795300000}}, "mark")
    assert turn.outcome(result(api_error_status=429)).until == 1795300000
    assert turn.outcome(result(api_error_status=500)).until is None


def test_only_an_end_that_was_asked_for_is_a_cancelled_turn() -> None:
    assert ClaudeTurn(cancelling=True).outcome(result()).end is End.CANCELLED
    assert ClaudeTurn(cancelling=True).outcome(result(is_error=False)).end is End.DONE
    assert ClaudeTurn().outcome(result()).end is End.FAILED


def test_the_result_of_a_turn_that_the_process_took_by_itself_is_not_ours() -> None:
    turn = ClaudeTurn()
    assert not turn.ends({"type": "result", "origin": {"kind": "task"}})
    assert turn.ends({"type": "result"})
    turn.note({"type": "user", "uuid": "another"}, "mark")
    assert not turn.ours
    turn.note({"type": "user", "uuid": "mark"}, "mark")
    assert turn.ours
    assert turn.ends({"type": "result", "origin": {"kind": "task"}})
    assert not turn.ends(said())


def test_a_turn_knows_whether_the_gates_tools_were_there() -> None:
    for status, missing in (("failed", True), ("connected", False)):
        turn = ClaudeTurn()
        turn.note({"type": "system", "subtype": "init", "mcp_servers": [{"name": "hive", "status": status}]}, "mark")
        assert turn.unconnected is missing
        assert turn.spoke


# Lines of the right kinds, of which everything else may be anything.
_KINDS = {
    "type": ["assistant", "user", "system", "rate_limit_event", "result"],
    "subtype": ["init", "status", "api_retry"],
}
_FIELDS = (
    "message",
    "content",
    "mcp_servers",
    "rate_limit_info",
    "status",
    "compact_result",
    "result",
    "error",
    "uuid",
)
_blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "tool_use", "tool_result"])}, optional={"content": documents()}
)
_lines = st.fixed_dictionaries(
    {name: st.sampled_from(values) for name, values in _KINDS.items()},
    optional={
        **{name: documents() for name in _FIELDS},
        "message": documents() | st.fixed_dictionaries({"content": st.lists(_blocks, max_size=2) | documents()}),
        "mcp_servers": st.lists(documents(), max_size=2) | documents(),
        "api_error_status": documents(),
    },
)


@thorough
@given(_lines)
def test_what_has_another_form_than_expected_breaks_nothing(line: dict[str, Any]) -> None:
    turn = ClaudeTurn()
    for event in events(line):
        # What the record keeps of it can be written.
        assert parse(dump(event.data)) == event.data
    turn.note(line, "mark")
    assert turn.outcome(line).end in End
