"""The client of the agent's socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_agent.errors import GateRefused, Stopped, Unreachable
from hive_agent.turns.link import Link
from hive_agent.waits import Waits
from tests.stand_ins.gate import Gate


@pytest.fixture
def waits() -> Waits:
    return Waits()


@pytest.fixture
def link(gate: Gate, waits: Waits) -> Iterator[Link]:
    made = Link(gate.path, waits)
    yield made
    made.close()


def test_an_answer_comes_back_as_its_fields(gate: Gate, link: Link) -> None:
    gate.set(model="m")
    assert link.call("turn_settings")["model"] == "m"


def test_a_refusal_carries_the_gates_sentence_and_hint(gate: Gate, link: Link) -> None:
    gate.refuse["send"] = "you may not"
    with pytest.raises(GateRefused, match="you may not") as refused:
        link.call("send", to="x", body="y")
    assert refused.value.hint == "ask the operator"


def test_a_call_that_is_safe_to_repeat_survives_a_restart_of_the_gate(gate: Gate, link: Link) -> None:
    link.call("ack")
    gate.shut()
    gate.open()
    link.call("ack")
    assert gate.calls == ["ack", "ack"]


def test_a_send_whose_fate_is_unknown_is_not_repeated(gate: Gate, link: Link) -> None:
    link.call("ack")
    gate.shut()
    gate.open()
    with pytest.raises(Unreachable):
        link.call("send", to="operator", body="hello")
    assert gate.sent == []
    link.call("send", to="operator", body="hello")
    assert gate.sent == [("operator", "hello")]


def test_a_path_that_is_longer_than_an_address_leads_to_the_gate(gate: Gate, folder: Path, waits: Waits) -> None:
    place = folder / ("long" * 40) / "agent.sock"
    place.parent.mkdir()
    gate.path.rename(place)
    link = Link(place, waits)
    link.call("ack")
    link.close()


def test_patience_ends(folder: Path, waits: Waits) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        Link(folder / "nobody.sock", waits).call("ack", patience=0.2)


def test_a_stop_ends_a_long_wait_and_the_connection_with_it(gate: Gate, link: Link, waits: Waits) -> None:
    def stop() -> None:
        gate.wait(lambda gate: "recv" in gate.calls, "recv")
        waits.stop()

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(Stopped):
        link.call("recv", wait=180)
    stopper.join()
    # Nobody is left there to whom a message would be handed and lost.
    gate.wait(lambda gate: not gate._connections, "end of the connection")
    gate.put("operator", "hello")
    assert gate.inbox[0].state == "waiting"


def test_two_answers_in_one_packet_stay_two(gate: Gate, link: Link) -> None:
    for number in range(50):
        gate.set(model=f"m{number}")
        assert link.call("turn_settings")["model"] == f"m{number}"
