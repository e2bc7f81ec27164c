"""What every CLI's runner does under the real harness: the real CLI against a scripted service, and a stand-in gate."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from tests.agent.clis import CLAUDE, CODEX, WORDS, Cli, answer_with_send, remembered
from tests.agent.conftest import Place, ended
from tests.agent.talk import Talk, talking
from tests.stand_ins.scripted import Answer, Asked, Failure, Text

EACH = [pytest.param(cli, id=cli.name, marks=cli.needed) for cli in (CLAUDE, CODEX)]


@pytest.fixture(params=EACH)
def cli(request: pytest.FixtureRequest) -> Cli:
    chosen: Cli = request.param
    return chosen


@pytest.fixture
def at(place: Place, cli: Cli) -> Place:
    """A place whose only login is a fake key."""
    return cli.settle(place)


@pytest.fixture(scope="module", params=EACH)
def talks(request: pytest.FixtureRequest) -> Iterator[Talk]:
    # A model that codex does not know is offered every tool at once.
    with talking(request.param, model="model-a") as talk:
        yield talk


def test_a_conversation_too_long_is_compacted_once_and_the_turn_tried_again(talk: Talk) -> None:
    # The first of all tests: of a longer conversation claude keeps the end as it is.
    compacted = threading.Event()

    def script(asked: Asked) -> Answer:
        if summary := talk.cli.summarized(asked):
            compacted.set()
            return summary
        long = "grasshopper" in asked.text and not compacted.is_set()
        return talk.cli.too_long if long else Text("The answer is seven.")

    talk.script = script
    talk.ask("dragonfly")
    talk.ask("grasshopper")
    assert "compacting" in talk.states
    assert compacted.is_set()
    # What was said before is in the summary alone.
    assert "The answer is seven." in str(talk.asked[1].body)
    assert "The answer is seven." not in str(talk.asked[-1].body)
    assert talk.turns("outcome") == ["done", "done"]


def test_a_message_becomes_a_turn_that_answers_by_the_gates_tools(talk: Talk) -> None:
    talk.script = answer_with_send
    talk.ask("do it")
    assert talk.sent == [("operator", "done")]
    first = talk.asked[0]
    assert "A message from operator woke you" in first.text
    assert "do it" in first.text
    assert "You are coder" in first.system
    assert "she/her" in first.system
    assert {"mcp__hive__send", "mcp__hive__recv", talk.cli.shell} <= set(first.tools)
    # Nothing but its service is asked for anything.
    assert talk.api.elsewhere == []
    assert [kind for kind in talk.events() if kind != "note"] == [
        "started",
        "model",
        "tool_call",
        "tool_result",
        "text",
        "result",
    ]
    assert talk.turns("sender || ': ' || body || ', ' || outcome || ', ' || detail") == ["operator: do it, done, sent"]


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


def test_without_a_login_that_is_taken_an_agent_says_so_loses_nothing_and_goes_on_when_it_comes(
    at: Place, cli: Cli
) -> None:
    def script(asked: Asked) -> Answer:
        return cli.unauthorized if "blank" in asked.headers["authorization"] else Text("ok")

    at.environment[cli.key] = ""
    with cli.serve(at, script) as api:
        # There is none: the message is not even taken.
        at.gate.put("operator", "one")
        at.gate.wait_state("needs_login")
        assert at.gate.inbox[0].deliveries == 0
        # One that is refused: it is put back.
        seen = len(at.gate.statuses)
        at.log_in("fake-blanked", cli.name)
        at.gate.wait_state("needs_login", after=seen)
        assert (at.gate.inbox[0].state, at.gate.inbox[0].deliveries) == ("waiting", 1)
        tried = len(api.asked)
        at.log_in("fake-good", cli.name)
        at.acknowledged()
        assert at.gate.inbox[0].deliveries == 2
        assert [asked.headers["authorization"] for asked in api.asked[tried:]] == ["Bearer fake-good"]
    assert at.rows("select outcome from turns order by id") == [("logged_out",), ("done",)]


def test_a_rate_limit_parks_the_agent_until_the_reset_it_names(at: Place, cli: Cli) -> None:
    reset = int(time.time()) + 4

    def script(asked: Asked) -> Answer:
        return cli.limited(reset) if time.time() < reset else Text("ok")

    at.environment[cli.key] = ""
    at.log_in("fake-token", cli.name)
    with cli.serve(at, script) as api:
        at.gate.put("operator", "one")
        assert at.gate.wait_state("rate_limited")["until"] == reset
        assert at.gate.inbox[0].state == "waiting"
        at.acknowledged()
        assert time.time() >= reset
        assert at.gate.inbox[0].deliveries == 2
        assert api.asked[0].headers["authorization"] == "Bearer fake-token"


def test_trouble_with_the_account_parks_the_agent_with_the_reason_and_costs_no_message(talk: Talk) -> None:
    ways = [*talk.cli.account, Text("ok")]
    talk.script = lambda asked: ways[0]
    message, seen = talk.say("one"), len(talk.gate.statuses)
    while len(ways) > 1:
        told = talk.gate.wait_state("account_trouble", after=seen)
        assert told["until"] > time.time()
        assert "`hive restart coder` tries again at once" in told["text"]
        assert message.state == "waiting"
        del ways[0]
        seen = len(talk.gate.statuses)
        if len(ways) > 1:
            # Whatever changes there has it try again, too.
            talk.place.change_settings(talk.cli.name)
        else:
            assert talk.place.stop() == 0
            talk.place.start()
    talk.done()
    assert talk.turns("outcome") == [*["account"] * len(talk.cli.account), "done"]
    assert talk.sent == []


def test_a_key_that_is_refused_is_said_as_that_until_something_else_is_there(talk: Talk) -> None:
    refused = threading.Event()
    talk.script = lambda asked: Text("ok") if refused.is_set() else talk.cli.unauthorized
    message = talk.say("one")
    told = talk.wait_state("key_refused")
    assert told["text"].startswith(f"{talk.cli.key} was refused: ")
    assert message.state == "waiting"
    refused.set()
    talk.place.change_settings(talk.cli.name)
    talk.done()
    assert "needs_login" not in talk.states
    assert talk.turns("outcome") == ["logged_out", "done"]


def test_a_conversation_that_stays_too_long_is_a_failure_which_is_counted(talk: Talk) -> None:
    answers: list[Answer] = [talk.cli.too_long]
    talk.script = lambda asked: answers[-1]
    message = talk.say("big")
    talk.gate.wait(lambda gate: message.deliveries == 2, "second delivery")
    answers.append(Text("ok"))
    talk.done()
    assert "compacting" in talk.states
    assert set(talk.turns("outcome")) == {"failed", "done"}


def test_an_error_of_the_request_is_a_failure_with_its_words(talk: Talk) -> None:
    talk.script = lambda asked: Failure(400, "invalid_request_error", "no such thing")
    message = talk.ask("one")
    to, body = talk.sent[0]
    assert to == "manager"
    assert "no such thing" in body
    assert message.deliveries == 6
    assert talk.turns("outcome") == ["failed"] * 5


def test_a_service_that_is_overloaded_costs_no_message(talk: Talk) -> None:
    answers = [talk.cli.overloaded] * 12
    talk.script = lambda asked: answers.pop() if answers else Text("ok")
    talk.ask("one")
    talk.wait_state("idle", text="a turn could not be run, next try in ")
    assert talk.sent == []
    assert talk.turns("outcome")[-1] == "done"


def test_a_cancelled_turn_is_over_and_the_conversation_goes_on(talk: Talk) -> None:
    talk.script = lambda asked: Text("ok") if "ladybird" in asked.text else Text("late", talk.never)
    talk.say("hornet")
    talk.wait_asked(1)
    assert talk.place.process is not None
    talk.place.process.send_signal(signal.SIGUSR1)
    talk.done()
    talk.ask("ladybird")
    assert "hornet" in json.dumps(talk.asked[-1].body)
    assert talk.turns("outcome") == ["cancelled", "done"]


def test_a_turn_killed_in_the_middle_is_done_again_with_its_message_marked(talk: Talk) -> None:
    # As npm installs it: what is killed is what was started, and not what that has started.
    talk.place.install(talk.cli.name, talk.cli.program)
    talk.script = lambda asked: Text("ok") if len(talk.asked) > 2 else Text("late", talk.never)
    message = talk.say("one")
    talk.wait_asked(1)
    os.kill(talk.place.cli(), signal.SIGKILL)
    talk.wait_asked(2)
    pidfd = os.pidfd_open(talk.place.cli())
    talk.place.kill()
    # It must not go on alone: its turn is about to be done again.
    assert ended(pidfd)
    os.close(pidfd)
    talk.place.start()
    talk.done()
    assert message.deliveries == 3
    assert ["given to you before" in asked.text for asked in talk.asked] == [False, True, True]
    assert talk.turns("outcome") == ["failed", "died", "done"]


def test_a_stop_in_a_turn_ends_every_process_and_puts_the_message_back(talk: Talk) -> None:
    talk.script = lambda asked: Text("late", talk.never)
    message = talk.say("one")
    talk.wait_asked(1)
    pidfd = os.pidfd_open(talk.place.cli())
    assert talk.place.stop() == 0
    assert ended(pidfd)
    os.close(pidfd)
    assert message.state == "waiting"
    assert talk.turns("outcome") == ["stopped"]
