"""A client of the operator's socket: what it makes of answers, of silence, and of whoever is at the other end."""

from __future__ import annotations

import json
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hive_core import client as client_of
from hive_core.client import Client
from hive_core.errors import Refused

# What a peer does with the lines of one connection, which is closed when it returns.
Peer = Callable[[socket.socket, Iterator[bytes]], None]


class Served:
    """A socket whose every connection is the next peer's; who comes when none is left is hung up on."""

    def __init__(self, path: Path) -> None:
        self.path, self.peers = path, list[Peer]()
        self.asked: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection = self._socket.accept()[0]
                with connection, connection.makefile("rb") as lines:
                    if self.peers:
                        self.peers.pop(0)(connection, self._noted(lines))

    def _noted(self, lines: Any) -> Iterator[bytes]:
        for line in lines:
            self.asked.append(json.loads(line))
            yield line

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._socket.close()


def saying(*answers: object) -> Peer:
    """Answers a request with these lines, and hangs up."""

    def peer(connection: socket.socket, lines: Iterator[bytes]) -> None:
        next(lines, None)
        for answer in answers:
            line = answer if isinstance(answer, bytes) else json.dumps(answer).encode() + b"\n"
            connection.sendall(line)

    return peer


OK = {"ok": True, "result": None}


def happened(seq: int) -> dict[str, Any]:
    return {"seq": seq, "kind": "started", "agent": "coder"}


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.setattr(client_of, "FIRST", 0.001)
    folder = Path(tempfile.mkdtemp(prefix="hive-"))
    made = Served(folder / "host.sock")
    yield made
    made.close()
    shutil.rmtree(folder)


@pytest.fixture
def client(served: Served) -> Client:
    return Client(served.path)


def test_an_operation_gives_its_value_whatever_that_is(served: Served, client: Client) -> None:
    for value in (None, 7, "x", [], {"a": [1]}):
        served.peers = [saying({"ok": True, "result": value})]
        assert client.call("show", id=7) == value
    assert served.asked[-1] == {"op": "show", "id": 7}


def test_an_answer_that_comes_in_pieces_is_one(served: Served, client: Client) -> None:
    served.peers = [saying(b'{"ok": true, "re', b'sult": 5}\n{"half')]
    assert client.call("list") == 5


def test_a_refusal_is_raised_with_its_hint(served: Served, client: Client) -> None:
    served.peers = [saying({"ok": False, "error": "No.", "hint": "Do this."}), saying({"ok": False})]
    with pytest.raises(Refused, match=r"No\.") as refused:
        client.call("start", name="coder")
    assert refused.value.hint == "Do this."
    with pytest.raises(Refused):
        client.call("start", name="coder")


@pytest.mark.parametrize("line", [b"hello\n", b"7\n", b"[]\n", b'{"version": 1}\n', b"[" * 100_000 + b"\n", b"\xff\n"])
def test_whoever_answers_otherwise_is_no_hive(served: Served, client: Client, line: bytes) -> None:
    served.peers = [saying(line)]
    with pytest.raises(ConnectionError, match="no hive"):
        client.call("list")


def test_a_gate_that_hangs_up_or_is_not_there_is_an_error_of_the_connection(served: Served, client: Client) -> None:
    served.peers = [saying(), saying(b'{"ok": tr')]
    for _ in range(2):
        with pytest.raises(ConnectionResetError, match="hung up"):
            client.call("list")
    with pytest.raises(FileNotFoundError):
        Client(served.path.with_name("other.sock")).call("list")


def test_the_state_is_asked_for_until_there_is_an_answer(served: Served, client: Client) -> None:
    served.peers = [saying(), saying(b"hello\n"), saying({"ok": False, "error": "Later."})]
    served.peers.append(saying({"ok": True, "result": {"seq": 3}}))
    assert client.state() == {"seq": 3}
    assert [request["op"] for request in served.asked] == ["state"] * 4


def test_events_go_on_where_they_were_cut_off(served: Served, client: Client) -> None:
    served.peers = [saying(OK, happened(1), happened(2), b'{"seq": 3, "ki'), saying(OK, happened(3)), saying()]
    served.peers.append(saying(OK, happened(4)))
    events = client.events(0)
    assert [next(events)["seq"] for _ in range(4)] == [1, 2, 3, 4]
    assert [request["since"] for request in served.asked] == [0, 2, 3, 3]
    assert {request["follow"] for request in served.asked} == {True}


def test_a_stream_that_ends_in_a_refusal_is_begun_again(served: Served, client: Client) -> None:
    served.peers = [saying(OK, {"ok": False, "error": "The database is away."}), saying(OK, happened(1))]
    assert next(client.events(0))["seq"] == 1


def test_what_goes_on_and_on_ends_with_its_end(served: Served, client: Client) -> None:
    served.peers = [saying(OK, {"kind": "line", "text": "a"}, {"kind": "end"}, {"kind": "line", "text": "lost"})]
    assert [item["kind"] for item in client.stream("journal", name="coder", follow=True)] == ["line", "end"]


def test_what_goes_on_and_on_is_refused_before_its_first_item(served: Served, client: Client) -> None:
    served.peers = [saying({"ok": False, "error": "There is no coder."})]
    with pytest.raises(Refused, match="no coder"):
        client.stream("journal", name="coder")


def test_closed_it_ends_what_it_follows_and_asks_no_more(served: Served, client: Client) -> None:
    served.peers = [saying(OK, happened(1)), lambda connection, lines: (next(lines), connection.recv(1), None)[-1]]
    events = client.events(0)
    next(events)
    client.close()
    assert list(events) == []
    with pytest.raises(ConnectionAbortedError):
        client.state()
