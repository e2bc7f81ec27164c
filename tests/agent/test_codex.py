"""The runner `codex` under the real harness: the real CLI against a scripted service, and a stand-in gate."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
import time
from contextlib import AbstractContextManager

import pytest

from tests.agent.conftest import Place, ended
from tests.stand_ins.responses_api import PROMPT_TOO_LONG, SUMMARY, UNAUTHORIZED, ResponsesApi, rate_limited
from tests.stand_ins.scripted import Answer, Asked, Failure, Script, Text, ToolUse

CODEX = os.environ.get("HIVE_TEST_CODEX") or shutil.which("codex")

pytestmark = pytest.mark.skipif(
    CODEX is None and "CI" not in os.environ,
    reason="needs codex on the PATH or in HIVE_TEST_CODEX (npm install @openai/codex)",
)


@pytest.fixture
def at(place: Place) -> Place:
    """A place whose only login is a fake key."""
    place.install("codex", CODEX)
    place.configure(runner="codex")
    place.environment["CODEX_HOME"] = str(place.codex)
    place.environment["CODEX_API_KEY"] = "fake-key"
    return place


def service(at: Place, script: Script) -> AbstractContextManager[ResponsesApi]:
    api = ResponsesApi(script)
    return at.served_by(api, OPENAI_BASE_URL=api.base_url)


def conversation(asked: Asked) -> str:
    return json.dumps(asked.body["input"])


def remembered(asked: Asked) -> list[str]:
    """Which of the animals that the operator spoke of are in the conversation."""
    return [word for word in ("aardvark", "bumblebee", "cormorant") if word in conversation(asked)]


def answer_with_send(asked: Asked) -> Answer:
    if asked.tool_results:
        return Text("sent")
    return ToolUse("mcp__hive__send", {"to": "operator", "body": "done"})


def test_a_message_becomes_a_turn_that_answers_by_the_gates_tools(at: Place) -> None:
    # A model that the CLI does not know is offered every tool at once.
    at.configure(runner="codex", model="model-a")
    with service(at, answer_with_send) as api:
        at.gate.put("operator", "do it")
        at.acknowledged()
        assert at.gate.sent == [("operator", "done")]
        first = api.asked[0]
        assert "A message from operator woke you" in first.text
        assert "do it" in first.text
        assert "You are coder" in first.system
        assert "she/her" in first.system
        assert {"mcp__hive__send", "mcp__hive__recv", "exec_command"} <= set(first.tools)
        assert first.headers["authorization"] == "Bearer fake-key"
    kinds = [kind for (kind,) in at.rows("select kind from turn_events order by seq")]
    assert [kind for kind in kinds if kind != "note"] == [
        "started",
        "model",
        "tool_call",
        "tool_result",
        "text",
        "result",
    ]
    assert at.rows("select sender, body, outcome, detail from turns") == [("operator", "do it", "done", "sent")]
    assert not (at.codex / "auth.json").exists()


def test_what_it_runs_is_neither_held_up_nor_kept_apart_by_a_sandbox_of_its_own(at: Place) -> None:
    beside = at.folder / "beside"

    def script(asked: Asked) -> Answer:
        return Text("ok") if asked.tool_results else ToolUse("exec_command", {"cmd": f"echo made >{beside}"})

    with service(at, script):
        at.gate.put("operator", "write")
        at.acknowledged()
    assert beside.read_text() == "made\n"


def test_nothing_but_its_service_is_asked(at: Place) -> None:
    api = ResponsesApi(answer_with_send)
    with at.served_by(api, OPENAI_BASE_URL=api.base_url, HTTPS_PROXY=api.url, HTTP_PROXY=api.url, NO_PROXY="127.0.0.1"):
        at.gate.put("operator", "do it")
        at.acknowledged()
        assert api.elsewhere == []


def test_the_conversation_goes_on_in_the_next_turn_and_after_a_restart(at: Place) -> None:
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "aardvark")
        at.acknowledged(1)
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        assert at.stop() == 0
        at.start()
        at.gate.put("operator", "cormorant")
        at.acknowledged(3)
        assert remembered(api.asked[2]) == ["aardvark", "bumblebee", "cormorant"]


def test_a_conversation_that_is_gone_begins_anew(at: Place) -> None:
    with service(at, [("", Text("ok"))]) as api:
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


def test_another_model_counts_from_the_next_turn_on_in_the_same_conversation(at: Place) -> None:
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "aardvark")
        at.acknowledged(1)
        default = api.asked[0].model
        at.gate.set(model="model-b")
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        at.gate.set(model=None)
        at.gate.put("operator", "cormorant")
        at.acknowledged(3)
        assert [asked.model for asked in api.asked] == [default, "model-b", default]
        assert remembered(api.asked[2]) == ["aardvark", "bumblebee", "cormorant"]
        assert [status["model"] for status in at.gate.statuses if "model" in status][-1] == default


def test_instructions_that_changed_are_told_once(at: Place) -> None:
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        assert at.stop() == 0
        at.environment["HIVE_OPERATOR_PRONOUNS"] = "they/them"
        at.start()
        for count, text in ((2, "two"), (3, "three")):
            at.gate.put("operator", text)
            at.acknowledged(count)
        assert ["they/them" in asked.text for asked in api.asked] == [False, True, False]


def test_an_agent_without_a_login_says_so_takes_nothing_and_goes_on_when_it_comes(at: Place) -> None:
    del at.environment["CODEX_API_KEY"]
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].deliveries == 0
        at.log_in_codex("fake-token")
        at.acknowledged()
        assert not at.gate.inbox[0].redelivered
        assert api.asked[0].headers["authorization"] == "Bearer fake-token"


def test_a_refused_login_puts_the_message_back_until_another_login_is_there(at: Place) -> None:
    del at.environment["CODEX_API_KEY"]
    at.log_in_codex("fake-blanked")

    def script(asked: Asked) -> Answer:
        return UNAUTHORIZED if "blank" in asked.headers["authorization"] else Text("ok")

    with service(at, script):
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].state == "waiting"
        at.log_in_codex("fake-good")
        at.acknowledged()
        assert at.gate.inbox[0].deliveries == 2
    assert at.rows("select outcome from turns order by id") == [("logged_out",), ("done",)]


def test_a_rate_limit_parks_the_agent_until_the_reset_it_names(at: Place) -> None:
    reset = int(time.time()) + 4

    with service(at, lambda asked: rate_limited(reset) if time.time() < reset else Text("ok")):
        at.gate.put("operator", "one")
        assert at.gate.wait_state("rate_limited")["until"] == reset
        assert at.gate.inbox[0].state == "waiting"
        at.acknowledged()
        assert time.time() >= reset
        assert at.gate.inbox[0].deliveries == 2


def test_a_conversation_too_long_is_compacted_once_and_the_turn_tried_again(at: Place) -> None:
    compacted = threading.Event()

    def script(asked: Asked) -> Answer:
        if asked.text == "compaction_trigger":
            compacted.set()
            return Text("")
        return PROMPT_TOO_LONG if "big" in asked.text and not compacted.is_set() else Text("ok")

    with service(at, script) as api:
        at.gate.put("operator", "small")
        at.acknowledged(1)
        at.gate.put("operator", "big")
        at.acknowledged(2)
        at.gate.wait_state("compacting")
        assert SUMMARY in conversation(api.asked[-1])
        assert "assistant" not in [item.get("role") for item in api.asked[-1].body["input"]]
    assert at.rows("select outcome from turns") == [("done",), ("done",)]


def test_a_compaction_that_fails_is_no_success(at: Place) -> None:
    refused = Failure(400, "invalid_request_error", "no summary today")

    def script(asked: Asked) -> Answer:
        if asked.text == "compaction_trigger":
            return refused
        return PROMPT_TOO_LONG if "big" in asked.text else Text("ok")

    with service(at, script):
        at.gate.put("operator", "big")
        at.acknowledged()
        assert "no summary today" in at.gate.sent[0][1]
    assert at.rows("select outcome, count(*) from turns group by outcome") == [("failed", 5)]


def test_an_error_of_the_request_is_a_failure_with_its_words(at: Place) -> None:
    with service(at, [("", Failure(400, "invalid_request_error", "no such thing"))]):
        at.gate.put("operator", "one")
        at.acknowledged()
        to, body = at.gate.sent[0]
    assert to == "manager"
    assert "no such thing" in body
    assert at.gate.inbox[0].deliveries == 6
    assert at.rows("select distinct outcome from turns") == [("failed",)]


def test_a_service_that_is_overloaded_costs_no_message(at: Place) -> None:
    overloaded = [Failure(503, "server_is_overloaded", "overloaded")] * 6

    with service(at, lambda asked: overloaded.pop() if overloaded else Text("ok")):
        at.gate.put("operator", "one")
        at.acknowledged()
        assert at.gate.sent == []


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
        assert at.gate.wait_state("rate_limited")["until"] > 0
        assert at.gate.inbox[1].state == "waiting"
    assert at.rows("select outcome from turns where outcome is not null order by id limit 2") == [
        ("done",),
        ("unavailable",),
    ]


def test_a_further_server_is_given_the_agents_environment_and_is_not_needed_for_a_turn(at: Place) -> None:
    seen = at.folder / "seen"
    server = {"command": "sh", "args": ["-c", f"echo $OWN $TOKEN >{seen}"], "environment": {"OWN": "1"}}
    at.configure(runner="codex", environment={"TOKEN": "2"}, mcp_servers={"other": server})
    with service(at, [("", Text("ok"))]):
        at.gate.put("operator", "do it")
        at.acknowledged()
    assert seen.read_text() == "1 2\n"
    assert at.rows("select outcome from turns") == [("done",)]


def slow(asked: Asked, answer: Text) -> Answer:
    """The first time slow, then, marked as given before, at once."""
    return Text("ok") if "given to you before" in asked.text else answer


@pytest.mark.parametrize("victim", ["harness", "codex"])
def test_a_turn_killed_in_the_middle_is_done_again_with_its_message_marked(at: Place, victim: str) -> None:
    never = threading.Event()
    with service(at, lambda asked: slow(asked, Text("late", never))) as api:
        at.gate.put("operator", "one")
        api.wait_asked(1)
        codex = at.cli()
        pidfd = os.pidfd_open(codex)
        if victim == "harness":
            at.kill()
            # It must not go on alone: its turn is about to be done again.
            assert ended(pidfd)
            at.start()
        else:
            os.kill(codex, signal.SIGKILL)
        at.acknowledged()
        os.close(pidfd)
        never.set()
        assert at.gate.inbox[0].deliveries == 2
        assert at.gate.inbox[0].redelivered
    outcomes = [outcome for (outcome,) in at.rows("select outcome from turns order by id")]
    assert outcomes == ["died" if victim == "harness" else "failed", "done"]


def test_a_cancelled_turn_is_over_and_the_conversation_goes_on(at: Place) -> None:
    never = threading.Event()

    def script(asked: Asked) -> Answer:
        return Text("ok") if "bumblebee" in asked.text else Text("late", never)

    with service(at, script) as api:
        at.gate.put("operator", "aardvark")
        api.wait_asked(1)
        assert at.process is not None
        at.process.send_signal(signal.SIGUSR1)
        at.acknowledged(1)
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        never.set()
        assert remembered(api.asked[-1]) == ["aardvark", "bumblebee"]
    assert at.rows("select outcome from turns order by id") == [("cancelled",), ("done",)]


def test_a_stop_in_a_turn_ends_every_process_and_puts_the_message_back(at: Place) -> None:
    never = threading.Event()
    with service(at, lambda asked: slow(asked, Text("late", never))) as api:
        at.gate.put("operator", "one")
        api.wait_asked(1)
        pidfd = os.pidfd_open(at.cli())
        assert at.stop() == 0
        assert ended(pidfd)
        os.close(pidfd)
        never.set()
        assert at.gate.inbox[0].state == "waiting"
    assert at.rows("select outcome from turns") == [("stopped",)]
