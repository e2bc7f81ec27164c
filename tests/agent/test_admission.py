"""Where a page is served: on both addresses that a browser takes `localhost` for, or not at all."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler

import pytest

from hive_agent.page.admission import AdmittingServer
from tests.agent.browser import free_port


class Served(AdmittingServer):
    most_strangers = most_known = 8
    called = "a test"


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\nhello")

    def log_message(self, format: str, *args: object) -> None:
        """It keeps quiet."""


@pytest.fixture
def port() -> Iterator[int]:
    with Served(("127.0.0.1", free_port()), Hello) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def asked(address: str, port: int) -> bytes:
    with socket.create_connection((address, port), 60) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        return b"".join(iter(lambda: connection.recv(100), b""))


def test_nobody_else_serves_what_a_browser_takes_for_the_page(port: int) -> None:
    for address in ("127.0.0.1", "::1"):
        assert asked(address, port).endswith(b"hello")
    for address in ("::1", "::"):
        with closing(socket.socket(socket.AF_INET6)) as other, pytest.raises(OSError, match="in use"):
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            other.bind((address, port))


def test_a_page_whose_other_address_somebody_has_is_not_served_and_leaves_nothing() -> None:
    free = free_port()
    with closing(socket.socket(socket.AF_INET6)) as other:
        other.bind(("::1", free))
        other.listen()
        with pytest.raises(OSError, match="in use"):
            Served(("127.0.0.1", free), Hello)
    Served(("127.0.0.1", free), Hello).server_close()
