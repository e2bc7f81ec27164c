"""What a hostile agent sends its socket: it gets a sentence or is hung up on, and holds up nobody else."""

from __future__ import annotations

import contextlib
import json

import pytest

from tests.clients import Client
from tests.hives import TestHive, eventually


@pytest.fixture
def gate(hive: TestHive) -> TestHive:
    """A hive with an agent, whose sockets are served."""
    hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    hive.spawn("coder")
    eventually((hive.root / "run" / "agents" / "coder.sock").exists)
    return hive


def as_coder(gate: TestHive) -> Client:
    return Client(gate.root / "run" / "agents" / "coder.sock")


@pytest.mark.parametrize(
    "number", [b"[" * 900 + b"]" * 900, b'{"a":1}', b"true", b"NaN", b"1e999"], ids=["deep", "object", "true", "nan", "inf"]
)
def test_an_odd_id_of_a_call_is_answered_and_the_connection_stays_usable(gate: TestHive, number: bytes) -> None:
    with as_coder(gate) as agent:
        agent.send(b'{"jsonrpc":"2.0","method":"ping","id":' + number + b"}\n")
        agent.reader.readline()
        assert agent.ask("recent")["ok"] is True


def test_half_a_surrogate_pair_as_an_id_comes_back_as_it_was_sent(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        agent.send(b'{"jsonrpc":"2.0","method":"ping","id":"\\ud800"}\n')
        assert agent.read() == {"jsonrpc": "2.0", "id": "\ud800", "result": {}}


def test_what_an_agent_sends_can_be_neither_nan_nor_deeper_than_can_be_read(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for argument in (b"NaN", b"[" * 950 + b"]" * 950, b"9" * 4000, b"9" * 5000):
            agent.send(b'{"cmd":"send","to":"operator","body":' + argument + b"}\n")
            assert agent.read()["ok"] is False


def test_an_agent_with_600_connections_locks_out_nobody(gate: TestHive) -> None:
    gate.spawn("other")
    other = gate.root / "run" / "agents" / "other.sock"
    eventually(other.exists)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(as_coder(gate)) for _ in range(600)]
        assert "Too many" in clients[-1].read()["error"]
        host = stack.enter_context(Client(gate.root / "run" / "host.sock"))
        neighbour = stack.enter_context(Client(other))
        assert host.ask("list")["ok"] is True
        assert neighbour.ask("recent")["ok"] is True


def test_an_agent_that_asks_for_much_and_reads_nothing_is_hung_up_on(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for _ in range(60):
            assert agent.ask("send", to="coder", body="x" * 256 * 1024)["ok"] is True
    # Each answer is some 4 MiB.
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(as_coder(gate)) for _ in range(20)]
        for client in clients:
            client.send(b'{"cmd":"recent","limit":1000}\n')
        eventually(lambda: any(hung_up(client) for client in clients))
        host = stack.enter_context(Client(gate.root / "run" / "host.sock"))
        assert host.ask("list")["ok"] is True


def hung_up(client: Client) -> bool:
    client.socket.setblocking(False)
    try:
        client.socket.send(b"\n")
    except (BrokenPipeError, ConnectionResetError):
        return True
    except BlockingIOError:
        return False
    return False


def test_many_calls_at_once_are_all_answered(gate: TestHive) -> None:
    with as_coder(gate) as agent:
        for number in range(500):
            agent.send(json.dumps({"jsonrpc": "2.0", "method": "ping", "id": number}).encode() + b"\n")
        assert {agent.read()["id"] for _ in range(500)} == set(range(500))
