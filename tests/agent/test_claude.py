"""The runner `claude` under the real harness: the real CLI against a scripted service, and a stand-in gate."""

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
from tests.stand_ins.messages_api import (
    PROMPT_TOO_LONG,
    UNAUTHORIZED,
    Answer,
    Asked,
    Failure,
    MessagesApi,
    Script,
    Text,
    ToolUse,
    rate_limited,
)

CLAUDE = os.environ.get("HIVE_TEST_CLAUDE") or shutil.which("claude")

pytestmark = pytest.mark.skipif(
    CLAUDE is None and "CI" not in os.environ,
    reason="needs claude on the PATH or in HIVE_TEST_CLAUDE (npm install @anthropic-ai/claude-code)",
)


@pytest.fixture
def at(place: Place) -> Place:
    """A place whose only login is a fake key."""
    place.install("claude", CLAUDE)
    place.environment["CLAUDE_CODE_MAX_RETRIES"] = "1"
    place.environment["ANTHROPIC_API_KEY"] = "fake-key"
    return place


def service(at: Place, script: Script) -> AbstractContextManager[MessagesApi]:
    api = MessagesApi(script)
    return at.served_by(api, ANTHROPIC_BASE_URL=api.url)


def answer_with_send(asked: Asked) -> Answer:
    if asked.tool_results:
        return Text("sent")
    return ToolUse("mcp__hive__send", {"to": "operator", "body": "done"})


def test_a_message_becomes_a_turn_that_answers_by_the_gates_tools(at: Place) -> None:
    with service(at, answer_with_send) as api:
        at.gate.put("operator", "do it")
        at.acknowledged()
        assert at.gate.sent == [("operator", "done")]
        first = api.asked[0]
        assert "A message from operator woke you" in first.text
        assert "do it" in first.text
        assert "You are coder" in first.system
        assert "she/her" in first.system
        assert {"mcp__hive__send", "mcp__hive__recv", "Bash"} <= set(first.tools)
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


def test_the_process_is_kept_and_the_conversation_goes_on(at: Place) -> None:
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        first = at.cli()
        at.gate.put("operator", "two")
        at.acknowledged(2)
        assert at.cli() == first
        assert len(api.asked[1].body["messages"]) > len(api.asked[0].body["messages"])


def test_another_model_counts_from_the_next_turn_on_in_the_same_conversation(at: Place) -> None:
    at.configure(model="model-a")
    with service(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        at.gate.set(model="model-b")
        at.gate.put("operator", "two")
        at.acknowledged(2)
        assert [asked.model for asked in api.asked] == ["model-a", "model-b"]
        assert "one" in json.dumps(api.asked[1].body["messages"])
        assert [status["model"] for status in at.gate.statuses if "model" in status][-1] == "model-b"


def test_an_agent_without_a_login_says_so_takes_nothing_and_goes_on_when_it_comes(at: Place) -> None:
    at.environment["ANTHROPIC_API_KEY"] = ""
    with service(at, [("", Text("ok"))]):
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].deliveries == 0
        at.log_in("fake-token")
        at.acknowledged()
        assert not at.gate.inbox[0].redelivered


def test_a_refused_login_puts_the_message_back_until_another_login_is_there(at: Place) -> None:
    def script(asked: Asked) -> Answer:
        return UNAUTHORIZED if "blank" in asked.headers["authorization"] else Text("ok")

    at.environment["ANTHROPIC_API_KEY"] = ""
    at.log_in("fake-blanked")
    with service(at, script) as api:
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].state == "waiting"
        tried = len(api.asked)
        at.log_in("fake-good")
        at.acknowledged()
        assert at.gate.inbox[0].deliveries == 2
        assert len(api.asked) == tried + 1


def test_a_rate_limit_parks_the_agent_until_the_reset_it_names(at: Place) -> None:
    reset = int(time.time()) + 4

    def script(asked: Asked) -> Answer:
        return rate_limited(reset) if time.time() < reset else Text("ok")

    at.environment["ANTHROPIC_API_KEY"] = ""
    at.log_in("fake-token")
    with service(at, script):
        at.gate.put("operator", "one")
        assert at.gate.wait_state("rate_limited")["until"] == reset
        assert at.gate.inbox[0].state == "waiting"
        at.acknowledged()
        assert time.time() >= reset
        assert at.gate.inbox[0].deliveries == 2


def test_a_conversation_too_long_is_compacted_once_and_the_turn_tried_again(at: Place) -> None:
    compacted = threading.Event()

    def script(asked: Asked) -> Answer:
        if "<summary>" in asked.text and "Tool calls will be rejected" in asked.text:
            compacted.set()
            return Text("<analysis>a</analysis><summary>We talked.</summary>")
        return PROMPT_TOO_LONG if "big" in asked.text and not compacted.is_set() else Text("ok")

    with service(at, script) as api:
        at.gate.put("operator", "small")
        at.acknowledged(1)
        at.gate.put("operator", "big")
        at.acknowledged(2)
        at.gate.wait_state("compacting")
        assert compacted.is_set()
        assert "We talked." in json.dumps(api.asked[-1].body["messages"])
    assert at.rows("select outcome from turns") == [("done",), ("done",)]


def test_a_conversation_that_stays_too_long_is_given_up_and_not_looped_for_ever(at: Place) -> None:
    with service(at, [("", PROMPT_TOO_LONG)]):
        at.gate.put("operator", "big")
        at.acknowledged()
        at.gate.wait(lambda gate: gate.sent, "word to the manager")
    assert at.gate.sent[0][0] == "manager"
    assert at.rows("select outcome, count(*) from turns group by outcome") == [("failed", 5)]


def test_an_error_that_calls_itself_success_is_a_failure(at: Place) -> None:
    with service(at, [("", Failure(400, "invalid_request_error", "no such thing"))]):
        at.gate.put("operator", "one")
        at.acknowledged()
        to, body = at.gate.sent[0]
    assert to == "manager"
    assert "no such thing" in body
    assert at.gate.inbox[0].deliveries == 6
    assert at.rows("select distinct outcome from turns") == [("failed",)]


def test_a_service_that_is_overloaded_costs_no_message(at: Place) -> None:
    answers = [Failure(529, "overloaded_error", "Overloaded")] * 12
    at.environment["HIVE_RETRY_SECONDS"] = "0.01"

    with service(at, lambda asked: answers.pop() if answers else Text("ok")):
        at.gate.put("operator", "one")
        at.acknowledged()
        assert at.gate.wait_state("rate_limited")["until"] > 0
        assert at.gate.sent == []


def slow(asked: Asked, answer: Text) -> Answer:
    """The first time slow, then, marked as given before, at once."""
    return Text("ok") if "given to you before" in asked.text else answer


@pytest.mark.parametrize("victim", ["harness", "claude"])
def test_a_turn_killed_in_the_middle_is_done_again_with_its_message_marked(at: Place, victim: str) -> None:
    never = threading.Event()
    with service(at, lambda asked: slow(asked, Text("late", never))) as api:
        at.gate.put("operator", "one")
        api.wait_asked(1)
        claude = at.cli()
        pidfd = os.pidfd_open(claude)
        if victim == "harness":
            at.kill()
            # It must not go on alone: its turn is about to be done again.
            assert ended(pidfd)
            at.start()
        else:
            os.kill(claude, signal.SIGKILL)
        at.acknowledged()
        os.close(pidfd)
        never.set()
        assert at.gate.inbox[0].deliveries == 2
        assert at.gate.inbox[0].redelivered
    outcomes = [outcome for (outcome,) in at.rows("select outcome from turns order by id")]
    assert outcomes == ["died" if victim == "harness" else "failed", "done"]


def test_a_cancelled_turn_is_over_and_the_next_message_finds_the_same_process(at: Place) -> None:
    never = threading.Event()

    def script(asked: Asked) -> Answer:
        return Text("ok") if "bee" in asked.text else Text("late", never)

    with service(at, script) as api:
        at.gate.put("operator", "ant")
        api.wait_asked(1)
        claude = at.cli()
        assert at.process is not None
        at.process.send_signal(signal.SIGUSR1)
        at.acknowledged(1)
        at.gate.put("operator", "bee")
        at.acknowledged(2)
        never.set()
        same = at.cli() == claude
    assert at.rows("select outcome from turns order by id") == [("cancelled",), ("done",)]
    assert same


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


def test_a_turn_that_the_process_takes_by_itself_is_not_taken_for_ours(at: Place) -> None:
    notified = threading.Event()

    def script(asked: Asked) -> Answer:
        if "task-notification" in asked.text:
            notified.set()
            return Text("noted")
        if asked.tool_results or "leave" not in asked.text:
            return Text("two is done" if "two" in asked.text else "ok")
        fifo = at.folder / "fifo"
        return ToolUse("Bash", {"command": f"cat {fifo}", "description": "x", "run_in_background": True})

    os.mkfifo(at.folder / "fifo")
    with service(at, script):
        at.gate.put("operator", "leave something running")
        at.acknowledged(1)
        (at.folder / "fifo").write_text("end\n")
        assert notified.wait(60)
        at.gate.put("operator", "two")
        at.acknowledged(2)
    assert at.rows("select detail from turns order by id desc limit 1") == [("two is done",)]


def test_where_a_process_cannot_be_kept_each_turn_has_its_own(at: Place) -> None:
    programs = at.folder / "bin"
    (programs / "claude").unlink()
    (programs / "claude").write_text(
        '#!/bin/sh\ncase "$*" in *--input-format*) echo "error: unknown option" >&2; exit 1;; esac\n'
        f'exec {CLAUDE} "$@"\n'
    )
    (programs / "claude").chmod(0o755)
    with service(at, answer_with_send) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        at.gate.put("operator", "two")
        at.acknowledged(2)
        assert "one" in json.dumps(api.asked[-1].body["messages"])
    assert len(at.gate.sent) == 2
    assert at.rows("select outcome from turns") == [("done",), ("done",)]
