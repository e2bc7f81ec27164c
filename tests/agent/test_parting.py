"""The end of a stranger's connection: its port is nobody's any more, whatever the stranger does."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from hive_agent.page import parting

# tcp_states.h: a connection without an end of its own, hence without a port.
CLOSED = 7


def state(connection: socket.socket) -> int:
    """In which state the kernel has this end of a connection (tcp(7), TCP_INFO)."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection: the page's, and the stranger's."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stranger = socket.create_connection(server.getsockname())
        ours, _ = server.accept()
    with ours, stranger:
        yield ours, stranger


def test_a_stranger_that_does_not_hang_up_has_its_answer_and_no_port(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, stranger = ends
    monkeypatch.setattr(parting, "PATIENCE", 0.05)
    ours.sendall(b"no")
    parting.part(ours)
    assert state(stranger) == CLOSED
    assert stranger.recv(10) == b"no"


def test_a_stranger_that_has_to_make_room_has_no_port_once_its_thread_has_ended(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    ours, stranger = ends
    parting.hang_up(ours)
    parting.part(ours)
    assert state(stranger) == CLOSED


def test_who_hangs_up_is_not_cut_short(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, stranger = ends
    # More than is sent at once.
    answer = b"x" * 8_000_000

    def serve() -> None:
        ours.sendall(answer)
        parting.part(ours)

    thread = threading.Thread(target=serve)
    thread.start()
    got = b"".join(iter(lambda: stranger.recv(1 << 20), b""))
    stranger.close()
    thread.join()
    assert got == answer
