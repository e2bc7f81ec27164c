"""Who serves a port, asked of the kernel: the answer, and that others' sockets do not make it dearer."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import pytest

from hive_core.containers.local.listeners import listeners


@contextmanager
def serving(host: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> Iterator[int]:
    with socket.create_server((host, 0), family=family, dualstack_ipv6=family == socket.AF_INET6) as server:
        yield server.getsockname()[1]


def lines_run(function: Callable[[], Any]) -> int:
    """How many lines of Python a call runs."""
    count = 0

    def note(_frame: FrameType, event: str, _argument: object) -> Any:
        nonlocal count
        count += event == "line"
        return note

    before = sys.gettrace()
    sys.settrace(note)
    try:
        function()
    finally:
        sys.settrace(before)
    return count


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", socket.AF_INET), ("0.0.0.0", socket.AF_INET), ("::", socket.AF_INET6)],
)
def test_whoever_a_connection_to_the_port_would_reach_is_named(host: str, family: socket.AddressFamily) -> None:
    with serving(host, family) as port:
        assert listeners([port]) == {port: {os.geteuid()}}
    assert listeners([port]) == {}


def test_a_connection_that_is_open_is_nobody_who_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        port = client.getsockname()[1]
        assert listeners([port]) == {}


def test_thousands_of_sockets_of_others_do_not_make_the_look_at_one_port_dearer() -> None:
    with serving() as port, ExitStack() as stack:
        alone = lines_run(lambda: listeners([port]))
        for _ in range(500):
            stack.enter_context(serving())
        assert lines_run(lambda: listeners([port])) == alone


def test_a_kernel_that_does_not_answer_is_asked_by_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    # A protocol that no kernel has.
    monkeypatch.setattr("hive_core.containers.local.listeners._NETLINK_SOCK_DIAG", 31)
    with serving() as port:
        assert listeners([port]) == {port: {os.geteuid()}}
    assert listeners([port]) == {}
