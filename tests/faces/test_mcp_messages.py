"""JSON-RPC as a model's client may send it: every request is answered once, with its id, and nothing breaks off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.caller import Role
from hive_core.errors import Refused
from hive_core.operation import Operation
from hive_faces.gate import mcp
from hive_faces.gate.calls import Render, Slices, document
from tests.properties import documents, texts, thorough


async def call(operation: Operation, arguments: Mapping[str, Any], render: Render) -> Slices:
    """Do what a caller's thread does with a call: refuse it in a sentence, or write what it gave."""
    if operation.name == "send":
        raise Refused("No.", "Do something else.")
    return document("".join(render({"called": operation.name, "with": sorted(map(str, arguments))})))


def reply(message: Any, role: Role = Role.AGENT) -> Any:
    """The answer as a client reads it; None for none."""
    slices = asyncio.run(mcp.reply(message, role, call))
    if slices is None:
        return None
    text = b"".join(slices).decode()
    assert text.endswith("\n")
    assert text.count("\n") == 1
    return json.loads(text)


def asked(method: str, number: Any = 1, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


METHODS = ["initialize", "ping", "tools/list", "tools/call", "notifications/initialized", "resources/list", ""]
messages = st.fixed_dictionaries(
    {"jsonrpc": st.just("2.0")},
    optional={
        "id": st.none() | st.integers() | texts | st.floats(allow_nan=False, allow_infinity=False) | documents(),
        "method": st.sampled_from(METHODS) | documents(),
        "params": st.fixed_dictionaries(
            {},
            optional={"name": st.sampled_from(["send", "recv", "destroy", ""]) | documents(), "arguments": documents()},
        )
        | documents(),
    },
)


@thorough
@given(messages | documents(), st.sampled_from([Role.AGENT, Role.MANAGER]))
def test_whatever_comes_is_answered_by_its_id_or_as_none_and_only_a_notification_is_not(
    message: Any, role: Role
) -> None:
    answer = reply(message, role)
    if isinstance(message, list):
        assert answer is None or isinstance(answer, list | dict)
        return
    is_request = isinstance(message, dict) and isinstance(message.get("method"), str)
    if is_request and "id" not in message:
        assert answer is None
        return
    assert answer["jsonrpc"] == "2.0"
    assert ("result" in answer) != ("error" in answer)
    known = is_request and not isinstance(message["id"], bool | list | dict)
    assert answer["id"] == (message["id"] if known else None)


@thorough
@given(st.lists(messages, min_size=1, max_size=4))
def test_several_at_once_are_answered_together_each_that_wants_one(several: list[dict[str, Any]]) -> None:
    alone = [reply(message) for message in several]
    assert reply(several) == ([answer for answer in alone if answer is not None] or None)


def test_a_list_that_is_empty_too_long_or_in_another_is_refused() -> None:
    for wrong in ([], [asked("ping")] * (mcp.MOST_CALLS + 1), [[asked("ping")]]):
        assert reply(wrong)["error"]["code"] == mcp.INVALID_REQUEST


def test_a_client_is_spoken_to_in_its_own_version_where_that_is_known() -> None:
    for version in mcp.PROTOCOLS:
        assert reply(asked("initialize", protocolVersion=version))["result"]["protocolVersion"] == version
    for other in ("1999-01-01", 7, None):
        assert reply(asked("initialize", protocolVersion=other))["result"]["protocolVersion"] == mcp.PROTOCOLS[0]


def test_what_is_refused_is_a_result_that_the_model_reads() -> None:
    result = reply(asked("tools/call", name="send", arguments={"to": "operator", "body": "x"}))["result"]
    assert result == {"content": [{"type": "text", "text": "No.\nDo something else."}], "isError": True}
    result = reply(asked("tools/call", name="recv", arguments=["wait"]))["result"]
    assert result["isError"] is True
    assert "takes an object of arguments" in result["content"][0]["text"]


def test_what_is_given_is_text_that_is_the_results_json() -> None:
    result = reply(asked("tools/call", name="recv", arguments={"wait": 0}))["result"]
    assert json.loads(result["content"][0]["text"]) == {"called": "recv", "with": ["wait"]}
    assert result["isError"] is False


@pytest.mark.parametrize("name", ["destroy", "approve", "login", "ack", "nonsense", None, 7])
def test_what_a_caller_may_not_use_is_no_tool_at_all(name: Any) -> None:
    for role in (Role.AGENT, Role.MANAGER):
        answer = reply(asked("tools/call", name=name), role)
        assert answer["error"]["message"] == f"There is no tool {name!a}."


def test_every_tool_that_is_listed_says_what_it_takes_and_nothing_more() -> None:
    for role in (Role.AGENT, Role.MANAGER):
        for tool in reply(asked("tools/list"), role)["result"]["tools"]:
            schema = tool["inputSchema"]
            assert schema["additionalProperties"] is False
            assert set(schema["required"]) <= set(schema["properties"])
            assert tool["description"].endswith(".")
            assert all(about["description"] for about in schema["properties"].values())
