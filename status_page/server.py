"""The page's server: Bottle's answers in threads, and each open stream handed to the one broadcaster."""

from __future__ import annotations

import errno
import socket
import sys
import threading
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from hive_agent.page.door import HEADERS, Denied, Door
from status_page.broadcaster import Broadcaster

# Requests answered at once; the oldest of those who have not finished their request has to go.
MOST_AT_ONCE = 64
# Seconds that a request may take to arrive.
ARRIVAL = 10.0


class PageServer(ThreadingHTTPServer):
    """The server, bound to an address. Raises OSError when it cannot be.

    application: a WSGI application. It is called with the word that the key opens in `hive.opens`.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], application: Any, door: Door, broadcaster: Broadcaster) -> None:
        self.application, self.door, self.broadcaster = application, door, broadcaster
        self._open: dict[socket.socket, None] = {}
        self._handed: set[socket.socket] = set()
        self._counting = threading.Lock()
        self.base_environ: dict[str, Any] = {}
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks the resolver for this machine's name, which may take long.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        WSGIServer.setup_environ(self)  # type: ignore[arg-type]

    def get_app(self) -> Any:
        return self.application

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            self._open[request] = None
            oldest = next(iter(self._open)) if len(self._open) > MOST_AT_ONCE else None
        if oldest is not None:
            _hang_up(oldest)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._counting:
            self._open.pop(request, None)
            handed = request in self._handed
            self._handed.discard(request)
        if handed:
            # The stream goes on at the broadcaster's own descriptor.
            request.close()
        else:
            super().shutdown_request(request)

    def hand_over(self, request: socket.socket, last: int | None, authorization: str) -> bool:
        """Give a connection to the broadcaster, for as long as its key is one; False when there are too many."""
        if not self.broadcaster.take(request.dup(), last, lambda: self.door.opens(authorization) is not None):
            return False
        with self._counting:
            self._handed.add(request)
        return True

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        # A browser that closes a tab is no news.
        if not isinstance(error, (ConnectionError, TimeoutError)):
            sys.stderr.write(f"hive page: {error!r}\n")


def _hang_up(request: socket.socket) -> None:
    try:
        request.shutdown(socket.SHUT_RDWR)
    except OSError as error:
        if error.errno not in (errno.ENOTCONN, errno.EBADF):
            raise


class _Handler(WSGIRequestHandler):
    server: PageServer
    timeout = ARRIVAL
    server_version, sys_version = "hive", ""

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the journal: any process of the machine could fill it."""

    def handle(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if len(self.raw_requestline) > 65536:
            self.send_error(HTTPStatus.REQUEST_URI_TOO_LONG)
        elif self.raw_requestline and self.parse_request():
            self._answer()

    def _answer(self) -> None:
        try:
            path = urlsplit(self.path).path
            self.server.door.check_names(self.headers.get_all("Host", []), self.headers.get_all("Origin", []))
            if self.command == "GET" and path == "/events":
                self.server.door.admit(self.headers.get("Authorization", ""), str(self.client_address[0]))
                self._stream()
                return
        except Denied as error:
            self._deny(error.status, error.message)
            return
        except ValueError:
            self._deny(HTTPStatus.BAD_REQUEST, "That is no address of a page.")
            return
        self._call()

    def _call(self) -> None:
        handler = ServerHandler(self.rfile, self.wfile, sys.stderr, self.get_environ(), multithread=True)  # type: ignore[arg-type]
        handler.request_handler = self  # type: ignore[attr-defined]  # where wsgiref looks for it
        handler.run(self.server.application)

    def _stream(self) -> None:
        last = self.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None
        head = ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n"]
        # A proxy before the page is not to keep what comes until it is much.
        head += ["X-Accel-Buffering: no\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in HEADERS.items()]
        self.connection.sendall(("".join(head) + "\r\n: welcome\n\n").encode())
        if not self.server.hand_over(self.connection, after, self.headers.get("Authorization", "")):
            self.connection.sendall(b"event: full\ndata: {}\n\n")
        self.close_connection = True

    def _deny(self, status: HTTPStatus, message: str) -> None:
        import json

        data = json.dumps({"ok": False, "error": message}).encode()
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": "application/json; charset=utf-8"}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
