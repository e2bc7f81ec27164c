"""Who follows and reads slowly, or not at all: it is hung up on, and nobody else waits for it."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from hive_core.client import Client as Follower
from hive_core.events import emit
from hive_faces.gate import connection, followers
from hive_faces.gate.gate import beside
from tests.clients import Client
from tests.hives import TestHive, eventually

BIG = "x" * 200_000


@pytest.fixture
def host(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """A connection to a gate in this process, whose patience is short."""
    monkeypatch.setattr(followers, "HEARTBEAT", 0.05)
    monkeypatch.setattr(connection, "STALLED", 0.2)
    path = hive.root / "run" / "host.sock"
    with beside(hive.inside()):
        eventually(path.exists)
        with Client(path) as client:
            yield client


def follow(host: Client) -> None:
    host.send(b'{"op":"events","follow":true}\n')
    assert host.read()["ok"] is True


def test_a_quiet_time_is_told_by_heartbeats_with_the_number_that_all_is_told_up_to(
    hive: TestHive, host: Client
) -> None:
    follow(host)
    assert [host.read() for _ in range(3)] == [{"kind": "heartbeat", "seq": 0}] * 3
    hive.run("send", "operator", "hello")
    while (event := host.read())["kind"] == "heartbeat":
        pass
    assert event["kind"] == "sent"
    assert host.read() == {"kind": "heartbeat", "seq": event["seq"]}


def test_a_reader_that_stops_is_hung_up_on_and_holds_up_nobody(hive: TestHive, host: Client) -> None:
    path = hive.root / "run" / "host.sock"
    with Client(path) as stopped:
        stopped.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        follow(stopped)
        follow(host)
        with hive.inside().store.write() as db:
            for _ in range(20):
                emit(db, "started", agent="coder", note=BIG)
        seen = 0
        while seen < 20:
            seen += host.read()["kind"] == "started"
        eventually(lambda: has_hung_up(stopped))
        # What lay in between is still read, and then there is the end, amid a line.
        data = b"".join(iter(lambda: received(stopped), b""))
        assert data.count(b"\n") < 20
    # It comes back, and has lost nothing.
    again = Follower(path)
    stream = again.events(data.count(b"\n"))
    assert next(stream)["seq"] == data.count(b"\n") + 1
    again.close()
    stream.close()


def has_hung_up(client: Client) -> bool:
    poll = select.poll()
    poll.register(client.socket, 0)
    return bool(poll.poll(0))


def received(client: Client) -> bytes:
    try:
        return client.reader.read(65536)
    except ConnectionResetError:
        return b""


def test_a_client_that_is_closed_ends_in_whatever_thread_it_follows(hive: TestHive, host: Client) -> None:
    follower = Follower(hive.root / "run" / "host.sock")
    stream = follower.events(0)
    next(stream)
    follower.close()
    assert [event for event in stream if event["kind"] != "heartbeat"] == []
