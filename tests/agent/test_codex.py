"""What the runner `codex` has of its own. What it shares with others is in test_clis.py."""

from __future__ import annotations

import shutil
import threading

import pytest

from tests.agent.clis import CODEX, remembered
from tests.agent.conftest import Place
from tests.stand_ins.responses_api import ResponsesApi
from tests.stand_ins.scripted import Answer, Asked, Failure, Text, ToolUse

pytestmark = CODEX.needed


@pytest.fixture
def at(place: Place) -> Place:
    """A place whose only login is a fake key."""
    return CODEX.settle(place)


def test_what_it_runs_is_neither_held_up_nor_kept_apart_by_a_sandbox_of_its_own(at: Place) -> None:
    beside = at.folder / "beside"

    def script(asked: Asked) -> Answer:
        return Text("ok") if asked.tool_results else ToolUse("exec_command", {"cmd": f"echo made >{beside}"})

    with CODEX.serve(at, script):
        at.gate.put("operator", "write")
        at.acknowledged()
    assert beside.read_text() == "made\n"


def test_a_key_from_the_environment_is_used_before_a_login_and_kept_in_no_file(at: Place) -> None:
    at.log_in("fake-token", "codex")
    with CODEX.serve(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged()
        assert api.asked[0].headers["authorization"] == "Bearer fake-key"
    assert all(b"fake-key" not in file.read_bytes() for file in at.codex.rglob("*") if file.is_file())


def test_a_conversation_that_is_gone_begins_anew(at: Place) -> None:
    with CODEX.serve(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "aardvark")
        at.acknowledged(1)
        shutil.rmtree(at.codex)
        at.codex.mkdir()
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        (at.state / "codex.json").write_text('{"thread": "../../etc/passwd", "model": 7}')
        at.gate.put("operator", "cormorant")
        at.acknowledged(3)
        assert [remembered(asked) for asked in api.asked] == [["aardvark"], ["bumblebee"], ["cormorant"]]
    assert at.rows("select distinct outcome from turns") == [("done",)]


def test_instructions_that_changed_are_told_once(at: Place) -> None:
    with CODEX.serve(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        assert at.stop() == 0
        at.environment["HIVE_OPERATOR_PRONOUNS"] = "they/them"
        at.start()
        for count, text in ((2, "two"), (3, "three")):
            at.gate.put("operator", text)
            at.acknowledged(count)
        assert ["they/them" in asked.text for asked in api.asked] == [False, True, False]


def test_a_compaction_that_fails_is_no_success(at: Place) -> None:
    refused = Failure(400, "invalid_request_error", "no summary today")
    again = threading.Event()

    def script(asked: Asked) -> Answer:
        if again.is_set():
            return Text("ok")
        return refused if asked.text == "compaction_trigger" else CODEX.too_long

    with CODEX.serve(at, script):
        message = at.gate.put("operator", "big")
        at.gate.wait(lambda gate: message.deliveries == 2, "second delivery")
        again.set()
        at.acknowledged()
    (failed, detail), *others = at.rows("select outcome, detail from turns order by id")
    assert failed == "failed"
    assert "no summary today" in str(detail)
    assert others[-1][0] == "done"


def test_a_service_of_the_agents_own_configuration_is_used_and_may_be_away(at: Place) -> None:
    api = ResponsesApi([("", Text("ok"))])
    (at.codex / "config.toml").write_text(
        f"""model_provider = "own"
[model_providers.own]
name = "own"
base_url = "{api.base_url}"
env_key = "OWN_KEY"
request_max_retries = 0
stream_max_retries = 0
"""
    )
    at.environment["OWN_KEY"] = "own-key"
    with at.served_by(api):
        at.gate.put("operator", "aardvark")
        at.acknowledged(1)
        assert api.asked[0].headers["authorization"] == "Bearer own-key"
        api.__exit__()
        at.gate.put("operator", "bumblebee")
        at.gate.wait_state("idle", text="a turn could not be run, next try in ")
        assert at.gate.inbox[1].state == "waiting"
    assert at.rows("select outcome from turns where outcome is not null order by id limit 2") == [
        ("done",),
        ("unavailable",),
    ]


def test_a_further_server_is_given_the_agents_environment_and_is_not_needed_for_a_turn(at: Place) -> None:
    seen = at.folder / "seen"
    server = {"command": "sh", "args": ["-c", f"echo $OWN $TOKEN >{seen}"], "environment": {"OWN": "1"}}
    at.configure(runner="codex", environment={"TOKEN": "2"}, mcp_servers={"other": server})
    with CODEX.serve(at, [("", Text("ok"))]):
        at.gate.put("operator", "do it")
        at.acknowledged()
    assert seen.read_text() == "1 2\n"
    assert at.rows("select outcome from turns") == [("done",)]
