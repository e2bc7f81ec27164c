"""An agent with the runner codex in a whole hive: it is asked, it answers by the gate's tools, it is restarted."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.agent.clis import CODEX
from tests.hives import PLAIN, TestHive, eventually
from tests.stand_ins.responses_api import ResponsesApi
from tests.stand_ins.scripted import Answer, Asked, Text, ToolUse

pytestmark = CODEX.needed


def script(asked: Asked) -> Answer:
    if "from operator" in asked.text:
        animal = next(word for word in ("aardvark", "bumblebee") if word in asked.text)
        return ToolUse("mcp__hive__send", {"to": "operator", "body": f"I saw the {animal}."})
    return Text("done")


@pytest.fixture
def api() -> Iterator[ResponsesApi]:
    with ResponsesApi(script) as running:
        yield running


@pytest.fixture
def up(hive: TestHive, api: ResponsesApi) -> TestHive:
    """A hive that is up, with an agent that runs codex against the scripted service."""
    hive.extra["HIVE_CODEX"] = str(CODEX.program)
    hive.configure("manager", PLAIN)
    configuration = {"OPENAI_BASE_URL": api.base_url, "CODEX_API_KEY": "fake-key-for-tests"}
    lines = [f"{name} = {json.dumps(value)}" for name, value in configuration.items()]
    hive.start("up")
    eventually(lambda: "manager" in {row["name"] for row in hive.asked("list") if row["running"]})
    hive.spawn("coder", "\n".join(['runner = "codex"', "[environment]", *lines]))
    return hive


def told_to_operator(hive: TestHive) -> list[str]:
    return [row["body"] for row in hive.asked("recent")["messages"] if row["from"] == "coder"]


def test_it_answers_the_operator_and_remembers_after_a_restart(up: TestHive, api: ResponsesApi) -> None:
    up.run("send", "coder", "Look at the aardvark.")
    assert eventually(lambda: told_to_operator(up)) == ["I saw the aardvark."]
    assert up.agent("coder")["needs_login"] is False

    up.run("restart", "coder")
    up.run("send", "coder", "Look at the bumblebee.")
    eventually(lambda: "I saw the bumblebee." in told_to_operator(up))
    assert "aardvark" in json.dumps(api.asked[-1].body["input"]), "the conversation did not go on"
    assert up.agent("coder")["active_model"]
