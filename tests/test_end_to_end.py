"""A manager and an agent at work, driven by the real CLI against a scripted service: a task becomes a change."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent.clis import CLAUDE
from tests.hives import TestHive, eventually
from tests.stand_ins.messages_api import MessagesApi
from tests.stand_ins.scripted import Answer, Asked, Text, ToolUse

pytestmark = CLAUDE.needed


COMMIT = """cd /agents/coder/config && sed -i 's/^model.*/model = "bigger"/' agent.toml &&
git commit -qam 'A bigger model' && git rev-parse HEAD"""


def configuration(url: str) -> str:
    return f'''runner = "claude"
model = "small"

[environment]
ANTHROPIC_BASE_URL = "{url}"
ANTHROPIC_API_KEY = "fake-key-for-tests"
'''


class Cast:
    """What the scripted service has each agent do, by what it was told last."""

    def __call__(self, asked: Asked) -> Answer:
        play = self.manager if "the manager of a hive" in asked.system else self.coder
        return play(asked.text, asked)

    def manager(self, text: str, _asked: Asked) -> Answer:
        if "write a greeting" in text and "from operator" in text:
            return ToolUse("mcp__hive__request_spawn", {"name": "coder", "description": "writes greetings"})
        if '"event":"spawned"' in text:
            return ToolUse("mcp__hive__send", {"to": "coder", "body": "Please write the greeting."})
        if "from coder" in text and "Bonjour" in text:
            return ToolUse("Bash", {"command": COMMIT, "description": "commit"})
        if commit := re.search(r"\b[0-9a-f]{40}\b", text):
            sha = {"agent": "coder", "sha": commit.group(), "description": "needs a bigger model"}
            return ToolUse("mcp__hive__request_commit", sha)
        return Text("done")

    def coder(self, text: str, asked: Asked) -> Answer:
        if "from manager" in text:
            return ToolUse("mcp__hive__ask", {"question": "Which language?", "options": ["French", "German"]})
        if '"event":"operator_answered"' in text and "French" in text:
            return ToolUse("mcp__hive__send", {"to": "manager", "body": "Bonjour, said the coder."})
        return Text("done")


@pytest.fixture
def api() -> Iterator[MessagesApi]:
    with MessagesApi(Cast()) as running:
        yield running


@pytest.fixture
def up(hive: TestHive, api: MessagesApi) -> TestHive:
    """A hive whose manager and coder are configured for the scripted service, brought up."""
    hive.extra["HIVE_CLAUDE"] = str(CLAUDE.program)
    for name in ("manager", "coder"):
        hive.configure(name, configuration(api.url))
    hive.start("up")
    eventually(lambda: "manager" in {row["name"] for row in hive.json("list") if row["running"]})
    return hive


def waiting(hive: TestHive, kind: str) -> dict[str, Any] | None:
    return next((row for row in hive.json("approvals") if row["kind"] == kind), None)


def test_from_a_task_to_a_deployed_change(up: TestHive, api: MessagesApi) -> None:
    up.run("send", "manager", "Have somebody write a greeting.")
    spawn = eventually(lambda: waiting(up, "spawn"))
    assert (spawn["agent"], spawn["description"]) == ("coder", "writes greetings")
    up.run("approve", str(spawn["id"]))

    question = eventually(lambda: up.json("questions"))[0]
    assert (question["asker"], question["options"]) == ("coder", ["French", "German"])
    up.run("answer", str(question["id"]), "French")

    commit = eventually(lambda: waiting(up, "apply_commit"))
    assert commit["description"] == "needs a bigger model"
    assert '+model = "bigger"' in up.run("show", str(commit["id"])).stdout
    up.run("approve", str(commit["id"]), "--sha", commit["fetched_sha"])
    assert up.git("applied/coder", "rev-parse", "main") == commit["fetched_sha"]

    kicked = eventually(lambda: next((asked for asked in api.asked if "You were rebuilt" in asked.text), None))
    assert kicked.model == "bigger"
    assert "Bonjour" in str(kicked.body["messages"]), "the session did not go on"
    assert up.agent("coder")["needs_login"] is False


def test_nothing_but_loopback_is_contacted(up: TestHive, api: MessagesApi, tmp_path: Path) -> None:
    """In a network that has no way out, nothing is missed: an agent does its turn."""
    up.run("send", "manager", "hello")
    api.wait_asked(1)
    for asked in api.asked:
        assert asked.headers["host"] == api.url.removeprefix("http://")
