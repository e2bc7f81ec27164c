"""The gate: whatever is sent gets an answer or a clean close, and no client makes another one wait."""

from __future__ import annotations

import fcntl
import json
import socket
import stat
import sys
import termios
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hive_agent.errors import Unreachable
from hive_agent.turns.link import Link
from hive_agent.waits import Waits
from tests.clients import Client
from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually
from tests.needs import requires

pytestmark = pytest.mark.remembered
MEGABYTE = 1024 * 1024


@pytest.fixture
def gate(hive: TestHive) -> TestHive:
    """A hive whose sockets are served."""
    hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    return hive


@pytest.fixture
def host(gate: TestHive) -> Iterator[Client]:
    with Client(gate.root / "run" / "host.sock") as client:
        yield client


def agents_socket(hive: TestHive, name: str) -> Client:
    path = hive.root / "run" / "agents" / f"{name}.sock"
    eventually(path.exists)
    return Client(path)


UNSERVED = [
    b"nonsense", b"[]", b"7", b'"list"', b"{}", b'{"cmd":7}', b'{"cmd":"nope"}', b'{"cmd":"../x"}', b"\xff\xfe",
    b'{"cmd":"recv","wait":-1}', b'{"cmd":"recv","wait":1000000000}', b'{"cmd":"recv","wait":"x"}',
    b'{"cmd":"approve"}', b'{"cmd":"approve","id":"x"}', b'{"cmd":"approve","id":1,"more":2}', b'{"cmd":"up"}',
    b"[" * 100_000,
]  # fmt: skip


def test_what_cannot_be_served_gets_a_sentence_and_the_connection_stays_usable(host: Client) -> None:
    for line in UNSERVED:
        host.send(line + b"\n")
        answer = host.read()
        assert answer["ok"] is False, line
        assert answer["error"].endswith("."), line
        assert host.ask("list")["ok"] is True, line


def test_an_oversized_line_is_refused_and_the_next_one_answered(host: Client) -> None:
    host.send(b'{"cmd":"list","x":"' + b"y" * (3 * MEGABYTE) + b'"}\n')
    assert "bytes" in host.read()["error"]
    assert host.ask("list")["ok"] is True


def test_half_a_line_is_never_carried_out(gate: TestHive, host: Client) -> None:
    host.send(b'{"cmd":"request_spawn","name":"coder"}')
    host.socket.shutdown(1)
    assert host.read() is None
    assert gate.json("approvals") == []


def test_a_line_that_comes_in_pieces_is_one_line(host: Client) -> None:
    for piece in (b'{"c', b'md":', b'"list"', b"}\n"):
        host.send(piece)
    assert host.read()["ok"] is True


def test_five_hundred_connections_are_answered_and_one_that_never_reads_holds_up_nobody(gate: TestHive) -> None:
    path = gate.root / "run" / "host.sock"
    clients = [Client(path) for _ in range(500)]
    slow = clients[0]
    slow.socket.setblocking(False)
    with pytest.raises(BlockingIOError):
        while True:
            slow.socket.send(b'{"cmd":"agent_status"}\n' * 1000)
    for client in clients[1:]:
        assert client.ask("list")["ok"] is True
    for client in clients:
        client.close()


def test_one_connection_too_many_is_told_so(gate: TestHive) -> None:
    path = gate.root / "run" / "host.sock"
    clients = [Client(path) for _ in range(512)]
    assert clients[-1].ask("list")["ok"] is True
    with Client(path) as extra:
        assert "Too many" in extra.read()["error"]
        assert extra.read() is None
    for client in clients:
        client.close()


def test_a_message_is_not_taken_for_a_receiver_that_has_hung_up(gate: TestHive) -> None:
    gate.spawn("coder")
    with agents_socket(gate, "coder") as agent:
        agent.ask("recv", wait=0, limit=1000)
    with agents_socket(gate, "coder") as agent:
        agent.send(b'{"cmd":"recv","wait":60}\n')
        agent.socket.shutdown(0)
    gate.run("send", "coder", "for the living")
    with agents_socket(gate, "coder") as agent:
        assert agent.ask("recv", wait=30)["messages"][0]["body"] == "for the living"


@requires("systemd-socket-activate")
def test_a_caller_that_came_before_the_gate_is_answered_by_the_one_it_starts(hive: TestHive) -> None:
    path = hive.root / "run" / "host.sock"
    path.parent.mkdir()
    # It clears the environment but for what it is told to hand on.
    kept = [f"--setenv={name}={value}" for name, value in hive.environment.items()]
    activate = ["systemd-socket-activate", f"--listen={path}", *kept]
    hive.start("gate", program=[*activate, sys.executable, str(CHECKOUT / "hive")])
    eventually(path.exists)
    with Client(path) as client:
        assert client.ask("list") == {"version": 1, "ok": True, "agents": []}
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_second_gate_is_refused(gate: TestHive) -> None:
    assert "running already" in gate.run("gate", code=1).stderr


def test_a_gate_that_was_killed_is_replaced_by_the_next(hive: TestHive) -> None:
    first = hive.start("gate")
    path = hive.root / "run" / "host.sock"
    eventually(path.exists)
    first.kill()
    first.wait()
    hive.start("gate")
    with Client(eventually(lambda: _connected(path))) as client:
        assert client.ask("list")["ok"] is True


def test_who_is_parked_when_the_gate_is_killed_gets_the_message_once_from_the_next(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        db.execute("insert into agents (name, desired, created_at) values ('coder', 'stopped', 0)")
    first = hive.start("gate")
    path = hive.root / "run" / "agents" / "coder.sock"
    eventually(path.exists)
    link = Link(path, Waits())
    link.call("turn_settings")
    with ThreadPoolExecutor() as beside:
        parked = beside.submit(link.call, "recv", wait=60)
        with Client(path) as other:
            # The gate has taken the line, and has answered others since.
            eventually(lambda: link._socket is not None and unread_by_peer(link._socket) == 0)
            assert other.ask("recent")["ok"] is other.ask("recent")["ok"] is True
        first.kill()
        first.wait()
        with pytest.raises(Unreachable):
            parked.result(60)
    hive.run("send", "coder", "task")
    hive.start("gate")
    link.call("nack")
    message = link.call("recv", wait=30)["messages"][0]
    assert (message["body"], message["redelivered"]) == ("task", False)
    link.call("ack")
    assert link.call("recv", wait=0)["messages"] == []
    assert "handed out 1 time\n" in hive.run("why", str(message["id"]), "--of", "coder").stdout
    link.close()


def unread_by_peer(connection: socket.socket) -> int:
    """Bytes that were sent and not read (unix(7), SIOCOUTQ)."""
    found = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, b"\0" * 4)
    return int.from_bytes(found, sys.byteorder)


def _connected(path):  # type: ignore[no-untyped-def]
    try:
        Client(path).close()
    except ConnectionRefusedError:
        return None
    return path


def test_an_agents_socket_serves_only_its_own_verbs_and_the_managers_only_the_managers(gate: TestHive) -> None:
    gate.spawn("coder")
    with agents_socket(gate, "coder") as agent:
        for verb in (
            "approve",
            "deny",
            "destroy",
            "purge",
            "spawn",
            "request_spawn",
            "request_commit",
            "start",
            "list",
        ):
            assert "no command" in agent.ask(verb)["error"]
        assert agent.ask("recent")["ok"] is True
    gate.inside()
    from hive_agent import MANAGER

    assert MANAGER not in {row["name"] for row in gate.json("list")}


def test_the_sender_is_who_the_socket_belongs_to(gate: TestHive) -> None:
    gate.spawn("coder")
    with agents_socket(gate, "coder") as agent:
        assert "takes no 'from'" in agent.ask("send", to="operator", body="hi", **{"from": "operator"})["error"]
        assert agent.ask("send", to="operator", body="hi")["ok"] is True
    assert gate.json("recv", "--wait", "0")["messages"][0]["from"] == "coder"


def test_a_parked_receiver_is_woken_by_what_another_process_wrote(gate: TestHive) -> None:
    gate.spawn("coder")
    with agents_socket(gate, "coder") as agent:
        agent.ask("recv", wait=0, limit=1000)
        agent.send(json.dumps({"cmd": "recv", "wait": 60}).encode() + b"\n")
        gate.run("send", "coder", "wake up")
        assert agent.read()["messages"][0]["body"] == "wake up"


def test_what_a_dead_turn_took_comes_again_marked_and_is_acknowledged_once(gate: TestHive) -> None:
    gate.spawn("coder")
    with agents_socket(gate, "coder") as agent:
        agent.ask("recv", wait=0, limit=1000)
        agent.ask("ack")
        gate.run("send", "coder", "task")
        assert agent.ask("recv", wait=5)["messages"][0]["redelivered"] is False
        agent.ask("nack")
        again = agent.ask("recv", wait=5)["messages"][0]
        assert (again["body"], again["redelivered"]) == ("task", True)
        agent.ask("ack")
        agent.ask("nack")
        assert agent.ask("recv", wait=0)["messages"] == []
    told = gate.run("why", str(again["id"]), "--of", "coder").stdout
    assert "handed out 2 times" in told
    assert "not yet" not in told


def test_the_socket_of_a_destroyed_agent_is_closed(gate: TestHive) -> None:
    gate.spawn("coder")
    agents_socket(gate, "coder").close()
    gate.run("destroy", "coder", "--yes")
    path = gate.root / "run" / "agents" / "coder.sock"
    eventually(lambda: not _connected_or_gone(path))
    eventually(lambda: not path.is_symlink())


def _connected_or_gone(path):  # type: ignore[no-untyped-def]
    try:
        Client(path).close()
    except (ConnectionRefusedError, FileNotFoundError):
        return False
    return True


def test_another_hive_is_kept_from_these_sockets_while_this_one_is_there(hive: TestHive, tmp_path: Path) -> None:
    hive.spawn("coder")
    other = TestHive(tmp_path / "other", extra={**hive.extra, "HIVE_RUN": str(hive.root / "run")})
    try:
        for command in (["gate"], ["up"], ["spawn", "coder"]):
            refused = other.run(*command, code=1).stderr
            assert f"holds the sockets of the hive in {hive.home}" in refused
        assert other.json("list") == []
        assert (hive.root / "run" / "sockets" / "coder").exists()
        hive.run("destroy", "coder", "--purge", "--yes")
        hive.home.rename(tmp_path / "gone")
        other.spawn("coder")
        assert other.agent("coder")["running"]
    finally:
        other.close()


def test_of_two_hives_that_want_the_sockets_of_one_that_is_gone_one_has_them(hive: TestHive, tmp_path: Path) -> None:
    run = hive.root / "run"
    run.mkdir()
    (run / "home").write_text(str(tmp_path / "gone"))
    (run / ".home").write_text("whoever was killed here")
    rivals = [TestHive(tmp_path / name, extra={**hive.extra, "HIVE_RUN": str(run)}) for name in ("one", "two")]
    try:
        started = [rival.start("spawn", "coder") for rival in rivals]
        told = [process.communicate(timeout=PATIENCE)[1] for process in started]
        assert sorted(process.returncode for process in started) == [0, 1], told
        assert any("holds the sockets of the hive in" in text for text in told)
    finally:
        for rival in rivals:
            rival.close()
