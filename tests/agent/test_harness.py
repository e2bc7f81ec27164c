"""The turn loop with the runner `exec`: the same harness, any program; the gate is a stand-in."""

from __future__ import annotations

import os
import select
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.agent.conftest import Place
from tests.stand_ins.gate import Unknown


def acknowledged(at: Place, count: int = 1) -> None:
    at.gate.wait(
        lambda gate: sum(message.state == "acknowledged" for message in gate.inbox) >= count, f"{count} acknowledged"
    )


def rows(at: Place, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(at.state / "events.sqlite")) as db:
        return db.execute(query).fetchall()


def wait_line(fifo: str) -> str:
    """The line a program writes into a named pipe once it is where the test wants it."""
    # For writing too: a writer that has gone already is then no end of the file.
    descriptor = os.open(fifo, os.O_RDWR)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        assert poll.poll(60_000), "the program did not begin"
        return os.read(descriptor, 4096).decode()
    finally:
        os.close(descriptor)


@pytest.fixture
def fifo(place: Place) -> str:
    path = str(place.folder / "fifo")
    os.mkfifo(path)
    return path


def test_what_the_system_has_told_by_then_is_one_turn_and_a_persons_message_one_of_its_own(place: Place) -> None:
    place.program("cat")
    for sender, body in (("system", "approved"), ("system", "rebuilt"), ("operator", "hello"), ("system", "crashed")):
        place.gate.put(sender, body)
    place.start()
    acknowledged(place, 4)
    assert rows(place, "select sender, body from turns order by id") == [
        ("system", "approved\nrebuilt"),
        ("operator", "hello"),
        ("system", "crashed"),
    ]
    ((first,), *_) = rows(place, "select detail from turns order by id")
    assert "2 messages from system woke you." in str(first)


def test_a_gate_that_knows_nothing_of_that_is_asked_for_one_after_the_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive = place.gate._recv

    def older(request: dict[str, object], connection: object) -> dict[str, object]:
        if "together" in request:
            raise Unknown("recv takes no 'together'.")
        return receive(request, connection)

    monkeypatch.setattr(place.gate, "_recv", older)
    place.program("cat")
    for body in ("approved", "rebuilt"):
        place.gate.put("system", body)
    place.start()
    acknowledged(place, 2)
    assert rows(place, "select body from turns order by id") == [("approved",), ("rebuilt",)]


def test_any_program_can_be_a_runner(place: Place) -> None:
    place.program(
        'echo "model $HIVE_MODEL"; cat; case "$HIVE_SYSTEM_PROMPT" in "You are coder,"*) echo prompted;; esac'
    )
    place.gate.set(model="tiny")
    place.gate.put("operator", "hello")
    place.start()
    acknowledged(place)
    ((detail,),) = rows(place, "select detail from turns")
    assert str(detail).startswith("model tiny\nA message from operator")
    assert str(detail).endswith("prompted")
    assert "hello" in str(detail)


def test_states_follow_each_other_as_they_are(place: Place) -> None:
    place.program("cat >/dev/null")
    place.start()
    place.gate.wait_state("idle")
    place.gate.put("operator", "hello")
    acknowledged(place)
    place.gate.wait(lambda gate: [status["state"] for status in gate.statuses] == ["idle", "thinking", "idle"], "idle")


def test_a_paused_agent_begins_no_turn_and_goes_on_afterwards(place: Place) -> None:
    place.program("cat >/dev/null")
    place.gate.set(paused=True)
    place.gate.put("operator", "hello")
    place.start()
    place.gate.wait(lambda gate: {"state": "idle", "text": "paused"} in gate.statuses, "paused")
    assert place.gate.inbox[0].deliveries == 0
    place.gate.set(paused=False)
    acknowledged(place)


def test_a_message_that_comes_after_the_pause_waits(place: Place) -> None:
    place.program("cat >/dev/null")
    place.start()
    place.gate.wait(lambda gate: "recv" in gate.calls, "recv")
    place.gate.set(paused=True)
    place.gate.put("operator", "hello")
    place.gate.wait(lambda gate: {"state": "idle", "text": "paused"} in gate.statuses, "paused")
    assert place.gate.inbox[0].state == "waiting"
    assert rows(place, "select count(*) from turns") == [(0,)]


def test_what_a_dead_harness_had_taken_comes_again_marked(place: Place, fifo: str) -> None:
    place.program(f"grep 'given to you before' && exit 0; echo begun >{fifo}; exec sleep 1000")
    place.gate.put("operator", "hello")
    place.start()
    wait_line(fifo)
    place.kill()
    assert place.gate.inbox[0].state == "delivered"
    place.start()
    acknowledged(place)
    assert rows(place, "select outcome, redelivered from turns") == [("died", 0), ("done", 1)]


def test_a_message_that_kills_the_harness_every_time_is_given_up_too(place: Place, fifo: str) -> None:
    place.program(f"cat >/dev/null; echo begun >{fifo}; exec sleep 1000")
    place.gate.put("operator", "poison")
    for _ in range(5):
        place.start()
        wait_line(fifo)
        place.kill()
    place.start()
    acknowledged(place)
    assert place.gate.sent[0][0] == "manager"
    assert "poison" in place.gate.sent[0][1]


def test_a_failing_message_is_given_up_with_a_word_and_the_next_one_is_worked_on(place: Place) -> None:
    place.program("grep -q bad && { echo it is broken >&2; exit 3; }; exit 0")
    place.gate.put("friend", "bad")
    place.gate.put("friend", "good")
    place.start()
    acknowledged(place, 2)
    assert [message.deliveries for message in place.gate.inbox] == [6, 1]
    ((to, body),) = place.gate.sent
    assert to == "manager"
    assert "ended with code 3" in body
    assert "it is broken" in body
    assert "bad" in body


def test_an_operator_whose_message_is_given_up_is_told_beside_the_manager(place: Place) -> None:
    place.program("exit 3")
    place.gate.put("operator", "bad")
    place.start()
    acknowledged(place)
    assert [to for to, _ in place.gate.sent] == ["manager", "operator"]


def test_the_operator_is_told_when_the_manager_cannot_be(place: Place) -> None:
    place.program("exit 3")
    place.gate.refuse["send"] = "you may not"
    place.gate.put("friend", "bad")
    place.start()
    acknowledged(place)
    assert place.gate.calls.count("send") == 2
    assert "you may not" in place.log
    assert "gave up on a message from friend" in place.log


def test_a_program_that_says_not_now_is_asked_again_for_ever(place: Place) -> None:
    place.program(f"echo x >>{place.folder}/tries; [ $(wc -l <{place.folder}/tries) -gt 7 ] || exit 75")
    place.environment["HIVE_RETRY_SECONDS"] = "0.01"
    place.gate.put("operator", "hello")
    place.start()
    acknowledged(place)
    assert place.gate.sent == []
    place.gate.wait_state("idle", text="a turn could not be run, next try in ")
    assert "a turn could not be run" in place.log


def test_a_restart_of_the_gate_loses_nothing(place: Place) -> None:
    place.program("cat >/dev/null")
    place.start()
    place.gate.wait(lambda gate: "recv" in gate.calls, "recv")
    place.gate.shut()
    place.gate.put("operator", "sent while the gate was away")
    place.gate.open()
    acknowledged(place)


def test_a_gate_that_comes_late_is_waited_for(place: Place) -> None:
    place.program("cat >/dev/null")
    place.gate.shut()
    place.gate.put("operator", "hello")
    place.start()
    place.gate.open()
    acknowledged(place)


def test_a_program_that_ignores_the_cancel_is_killed(place: Place, fifo: str) -> None:
    place.program(f"trap '' TERM; cat >/dev/null; echo begun >{fifo}; while :; do sleep 1000; done")
    place.gate.put("operator", "hello")
    process = place.start()
    wait_line(fifo)
    process.send_signal(signal.SIGUSR1)
    acknowledged(place)
    assert rows(place, "select outcome from turns") == [("cancelled",)]


def test_what_a_program_leaves_running_does_not_hold_its_turn_up(place: Place) -> None:
    place.program("cat >/dev/null; sleep 30 & echo done")
    place.gate.put("operator", "hello")
    place.start()
    acknowledged(place)
    assert rows(place, "select detail from turns") == [("done",)]


def test_a_stop_while_it_waits_is_at_once_and_clean(place: Place) -> None:
    place.program("cat >/dev/null")
    place.start()
    place.gate.wait(lambda gate: "recv" in gate.calls, "recv")
    assert place.stop() == 0
    assert place.gate.calls[-1] == "nack"


def test_a_runner_that_is_not_there_is_told_and_waited_for(place: Place) -> None:
    program = place.folder / "later"
    place.configure(runner="exec", command=[str(program)])
    place.gate.put("operator", "do it")
    place.start()
    place.gate.wait_state("no_program", text="later is not on the PATH")
    program.with_name("soon").write_text("#!/bin/sh\ncat >/dev/null\n")
    program.with_name("soon").chmod(0o755)
    program.with_name("soon").rename(program)
    acknowledged(place)


def test_a_prompt_larger_than_every_buffer_arrives_whole(place: Place) -> None:
    place.program("wc -c")
    place.gate.put("operator", "x" * 1_000_000)
    place.start()
    acknowledged(place)
    ((detail,),) = rows(place, "select detail from turns")
    assert int(str(detail)) > 1_000_000
