"""What every CLI's runner does under the real harness: the real CLI against a scripted service, and a stand-in gate."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from tests.agent.clis import CLAUDE, CODEX, WORDS, Cli, answer_with_send, remembered
from tests.agent.conftest import Place, ended
from tests.stand_ins.scripted import Answer, Asked, Failure, Text


@pytest.fixture(params=[pytest.param(cli, id=cli.name, marks=cli.needed) for cli in (CLAUDE, CODEX)])
def cli(request: pytest.FixtureRequest) -> Cli:
    chosen: Cli = request.param
    return chosen


@pytest.fixture
def at(place: Place, cli: Cli) -> Place:
    """A place whose only login is a fake key."""
    return cli.settle(place)


def test_a_message_becomes_a_turn_that_answers_by_the_gates_tools(at: Place, cli: Cli) -> None:
    # A model that codex does not know is offered every tool at once.
    at.configure(runner=cli.name, model="model-a")
    api = cli.api(answer_with_send)
    proxy = {"HTTPS_PROXY": api.url, "HTTP_PROXY": api.url, "NO_PROXY": "127.0.0.1"}
    with at.served_by(api, **proxy, **{cli.url: api.base_url}):
        at.gate.put("operator", "do it")
        at.acknowledged()
        assert at.gate.sent == [("operator", "done")]
        first = api.asked[0]
        assert "A message from operator woke you" in first.text
        assert "do it" in first.text
        assert "You are coder" in first.system
        assert "she/her" in first.system
        assert {"mcp__hive__send", "mcp__hive__recv", cli.shell} <= set(first.tools)
        # Nothing but its service is asked for anything.
        assert api.elsewhere == []
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


def test_the_conversation_goes_on_with_another_model_and_after_a_restart(at: Place, cli: Cli) -> None:
    with cli.serve(at, [("", Text("ok"))]) as api:
        for count, (word, model) in enumerate(zip(WORDS, (None, "model-b", None), strict=True), start=1):
            if count == 3:
                assert at.stop() == 0
                at.start()
            # It counts from the next turn on.
            at.gate.set(model=model)
            at.gate.put("operator", word)
            at.acknowledged(count)
        default = api.asked[0].model
        assert [asked.model for asked in api.asked] == [default, "model-b", default]
        assert [remembered(asked) for asked in api.asked] == [[*WORDS[:1]], [*WORDS[:2]], [*WORDS]]
        told = [status["model"] for status in at.gate.statuses if "model" in status]
        assert "model-b" in told
        # claude adds the size of the context to the name.
        assert told[-1].startswith(default)


def test_an_agent_without_a_login_says_so_takes_nothing_and_goes_on_when_it_comes(at: Place, cli: Cli) -> None:
    at.environment[cli.key] = ""
    with cli.serve(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].deliveries == 0
        at.log_in("fake-token", cli.name)
        at.acknowledged()
        assert not at.gate.inbox[0].redelivered
        assert api.asked[0].headers["authorization"] == "Bearer fake-token"


def test_a_refused_login_puts_the_message_back_until_another_login_is_there(at: Place, cli: Cli) -> None:
    def script(asked: Asked) -> Answer:
        return cli.unauthorized if "blank" in asked.headers["authorization"] else Text("ok")

    at.environment[cli.key] = ""
    at.log_in("fake-blanked", cli.name)
    with cli.serve(at, script) as api:
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].state == "waiting"
        tried = len(api.asked)
        at.log_in("fake-good", cli.name)
        at.acknowledged()
        assert at.gate.inbox[0].deliveries == 2
        assert len(api.asked) == tried + 1
    assert at.rows("select outcome from turns order by id") == [("logged_out",), ("done",)]


def test_trouble_with_the_account_parks_the_agent_with_the_reason_and_costs_no_message(at: Place, cli: Cli) -> None:
    ways, seen = [*cli.account, Text("ok")], 0
    with cli.serve(at, lambda asked: ways[0]):
        at.gate.put("operator", "one")
        while len(ways) > 1:
            told = at.gate.wait_state("account_trouble", after=seen)
            assert told["until"] > time.time()
            assert "`hive restart coder` tries again at once" in told["text"]
            assert at.gate.inbox[0].state == "waiting"
            del ways[0]
            assert at.stop() == 0
            seen = len(at.gate.statuses)
            at.start()
        at.acknowledged()
    expected = [("account",)] * len(cli.account)
    assert at.rows("select outcome from turns order by id") == [*expected, ("done",)]
    assert at.gate.sent == []


def test_a_key_that_is_refused_is_said_as_that_until_something_else_is_there(at: Place, cli: Cli) -> None:
    with cli.serve(at, lambda asked: cli.unauthorized):
        at.gate.put("operator", "one")
        told = at.gate.wait_state("key_refused")
        assert told["text"].startswith(f"{cli.key} was refused: ")
        assert at.gate.inbox[0].state == "waiting"
    assert [status for status in at.gate.statuses if status["state"] == "needs_login"] == []
    assert at.rows("select outcome from turns") == [("logged_out",)]


def test_a_rate_limit_parks_the_agent_until_the_reset_it_names(at: Place, cli: Cli) -> None:
    reset = int(time.time()) + 4

    def script(asked: Asked) -> Answer:
        return cli.limited(reset) if time.time() < reset else Text("ok")

    at.environment[cli.key] = ""
    at.log_in("fake-token", cli.name)
    with cli.serve(at, script):
        at.gate.put("operator", "one")
        assert at.gate.wait_state("rate_limited")["until"] == reset
        assert at.gate.inbox[0].state == "waiting"
        at.acknowledged()
        assert time.time() >= reset
        assert at.gate.inbox[0].deliveries == 2


def test_a_conversation_too_long_is_compacted_once_and_the_turn_tried_again(at: Place, cli: Cli) -> None:
    compacted = threading.Event()

    def script(asked: Asked) -> Answer:
        if summary := cli.summarized(asked):
            compacted.set()
            return summary
        return cli.too_long if "bumblebee" in asked.text and not compacted.is_set() else Text("The answer is seven.")

    with cli.serve(at, script) as api:
        at.gate.put("operator", "aardvark")
        at.acknowledged(1)
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        at.gate.wait_state("compacting")
        assert compacted.is_set()
        # What was said before is in the summary alone.
        assert "The answer is seven." in str(api.asked[1].body)
        assert "The answer is seven." not in str(api.asked[-1].body)
    assert at.rows("select outcome from turns") == [("done",), ("done",)]


def test_a_conversation_that_stays_too_long_is_given_up_and_not_looped_for_ever(at: Place, cli: Cli) -> None:
    with cli.serve(at, [("", cli.too_long)]):
        at.gate.put("operator", "big")
        at.acknowledged()
        at.gate.wait(lambda gate: gate.sent, "word to the manager")
    assert at.gate.sent[0][0] == "manager"
    assert at.rows("select outcome, count(*) from turns group by outcome") == [("failed", 5)]


def test_an_error_of_the_request_is_a_failure_with_its_words(at: Place, cli: Cli) -> None:
    with cli.serve(at, [("", Failure(400, "invalid_request_error", "no such thing"))]):
        at.gate.put("operator", "one")
        at.acknowledged()
        to, body = at.gate.sent[0]
    assert to == "manager"
    assert "no such thing" in body
    assert at.gate.inbox[0].deliveries == 6
    assert at.rows("select distinct outcome from turns") == [("failed",)]


def test_a_service_that_is_overloaded_costs_no_message(at: Place, cli: Cli) -> None:
    answers = [cli.overloaded] * 12
    at.environment["HIVE_RETRY_SECONDS"] = "0.01"

    with cli.serve(at, lambda asked: answers.pop() if answers else Text("ok")):
        at.gate.put("operator", "one")
        at.acknowledged()
        at.gate.wait_state("idle", text="a turn could not be run, next try in ")
        assert at.gate.sent == []


def slow(asked: Asked, answer: Text) -> Answer:
    """The first time slow, then, marked as given before, at once."""
    return Text("ok") if "given to you before" in asked.text else answer


@pytest.mark.parametrize("victim", ["harness", "cli"])
def test_a_turn_killed_in_the_middle_is_done_again_with_its_message_marked(at: Place, cli: Cli, victim: str) -> None:
    never = threading.Event()
    with cli.serve(at, lambda asked: slow(asked, Text("late", never))) as api:
        at.gate.put("operator", "one")
        api.wait_asked(1)
        running = at.cli()
        pidfd = os.pidfd_open(running)
        if victim == "harness":
            at.kill()
            # It must not go on alone: its turn is about to be done again.
            assert ended(pidfd)
            at.start()
        else:
            os.kill(running, signal.SIGKILL)
        at.acknowledged()
        os.close(pidfd)
        never.set()
        assert at.gate.inbox[0].deliveries == 2
        assert at.gate.inbox[0].redelivered
    outcomes = [outcome for (outcome,) in at.rows("select outcome from turns order by id")]
    assert outcomes == ["died" if victim == "harness" else "failed", "done"]


def test_a_cancelled_turn_is_over_and_the_conversation_goes_on(at: Place, cli: Cli) -> None:
    never = threading.Event()

    def script(asked: Asked) -> Answer:
        return Text("ok") if "bumblebee" in asked.text else Text("late", never)

    with cli.serve(at, script) as api:
        at.gate.put("operator", "aardvark")
        api.wait_asked(1)
        assert at.process is not None
        at.process.send_signal(signal.SIGUSR1)
        at.acknowledged(1)
        at.gate.put("operator", "bumblebee")
        at.acknowledged(2)
        never.set()
        assert remembered(api.asked[-1]) == [*WORDS[:2]]
    assert at.rows("select outcome from turns order by id") == [("cancelled",), ("done",)]


def test_a_stop_in_a_turn_ends_every_process_and_puts_the_message_back(at: Place, cli: Cli) -> None:
    never = threading.Event()
    with cli.serve(at, lambda asked: slow(asked, Text("late", never))) as api:
        at.gate.put("operator", "one")
        api.wait_asked(1)
        pidfd = os.pidfd_open(at.cli())
        assert at.stop() == 0
        assert ended(pidfd)
        os.close(pidfd)
        never.set()
        assert at.gate.inbox[0].state == "waiting"
    assert at.rows("select outcome from turns") == [("stopped",)]
