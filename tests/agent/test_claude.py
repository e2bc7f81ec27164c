"""What the runner `claude` has of its own: a process that is kept. What it shares with others is in test_clis.py."""

from __future__ import annotations

import json
import os
import signal
import threading

import pytest

from tests.agent.clis import CLAUDE, answer_with_send
from tests.agent.conftest import Place
from tests.stand_ins.scripted import Answer, Asked, Text, ToolUse

pytestmark = CLAUDE.needed


@pytest.fixture
def at(place: Place) -> Place:
    """A place whose only login is a fake key."""
    return CLAUDE.settle(place)


def test_the_process_is_kept_and_the_conversation_goes_on(at: Place) -> None:
    with CLAUDE.serve(at, [("", Text("ok"))]) as api:
        at.gate.put("operator", "one")
        at.acknowledged(1)
        first = at.cli()
        at.gate.put("operator", "two")
        at.acknowledged(2)
        assert at.cli() == first
        assert len(api.asked[1].body["messages"]) > len(api.asked[0].body["messages"])


def test_after_a_cancelled_turn_the_next_message_finds_the_same_process(at: Place) -> None:
    never = threading.Event()

    def script(asked: Asked) -> Answer:
        return Text("ok") if "bee" in asked.text else Text("late", never)

    with CLAUDE.serve(at, script) as api:
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
    with CLAUDE.serve(at, script):
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
