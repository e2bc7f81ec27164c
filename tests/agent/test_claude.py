"""What the runner `claude` has of its own: a process that is kept. What it shares with others is in test_clis.py."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from tests.agent.clis import CLAUDE, answer_with_send
from tests.agent.conftest import Place
from tests.agent.talk import Talk, talking
from tests.stand_ins.scripted import Answer, Asked, Text, ToolUse

pytestmark = CLAUDE.needed


@pytest.fixture(scope="module")
def talks() -> Iterator[Talk]:
    with talking(CLAUDE) as talk:
        yield talk


def test_the_process_is_kept_and_the_conversation_goes_on(talk: Talk) -> None:
    talk.ask("one")
    first = talk.place.cli()
    talk.ask("two")
    assert talk.place.cli() == first
    assert len(talk.asked[1].body["messages"]) > len(talk.asked[0].body["messages"])


def test_after_a_cancelled_turn_the_next_message_finds_the_same_process(talk: Talk) -> None:
    talk.script = lambda asked: Text("ok") if "bee" in asked.text else Text("late", talk.never)
    talk.say("ant")
    talk.wait_asked(1)
    claude = talk.place.cli()
    assert talk.place.process is not None
    talk.place.process.send_signal(signal.SIGUSR1)
    talk.done()
    talk.ask("bee")
    assert talk.place.cli() == claude
    assert talk.turns("outcome") == ["cancelled", "done"]


def test_a_turn_that_the_process_takes_by_itself_is_not_taken_for_ours(talk: Talk) -> None:
    notified, fifo = threading.Event(), talk.place.folder / "fifo"

    def script(asked: Asked) -> Answer:
        if "task-notification" in asked.text:
            notified.set()
            return Text("noted")
        if asked.tool_results or "leave" not in asked.text:
            return Text("two is done" if "two" in asked.text else "ok")
        return ToolUse("Bash", {"command": f"cat {fifo}", "description": "x", "run_in_background": True})

    os.mkfifo(fifo)
    talk.script = script
    talk.ask("leave something running")
    fifo.write_text("end\n")
    assert notified.wait(60)
    talk.ask("two")
    assert talk.turns("detail")[-1] == "two is done"


def test_where_a_process_cannot_be_kept_each_turn_has_its_own(place: Place) -> None:
    at = CLAUDE.settle(place)
    programs = at.folder / "bin"
    (programs / "claude").unlink()
    (programs / "claude").write_text(
        '#!/bin/sh\ncase "$*" in *--input-format*) echo "error: unknown option" >&2; exit 1;; esac\n'
        f'exec {CLAUDE.program} "$@"\n'
    )
    (programs / "claude").chmod(0o755)
    with CLAUDE.serve(at, answer_with_send) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        at.gate.put("operator", "two")
        at.acknowledged(2)
        assert "one" in json.dumps(api.asked[-1].body["messages"])
    assert len(at.gate.sent) == 2
    assert at.rows("select outcome from turns") == [("done",), ("done",)]
