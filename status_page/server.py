"""The page's server: Bottle's answers in threads, and each open stream handed to the one broadcaster."""

from __future__ import annotations

import os
import select
import socket
import sys
import threading
import time
from functools import partial
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from hive_agent.page.door import HEADERS, Denied, Door
from hive_agent.page.parting import hang_up, part
from status_page.broadcaster import Broadcaster
from status_page.metrics import Answers

# Requests of strangers at once; the oldest, which has not shown the key yet, has to go.
MOST_AT_ONCE = 64
# Requests answered at once of those who have shown the key; beyond that they are told to come again.
MOST_KNOWN = 256
# Seconds that a request may take to arrive.
ARRIVAL = 10.0


class PageServer(ThreadingHTTPServer):
    """The server, bound to an address. Raises OSError when it cannot be.

    application: a WSGI application.
    """

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(
        self, address: tuple[str, int], application: Any, door: Door, broadcaster: Broadcaster, answers: Answers
    ) -> None:
        self.application, self.door, self.broadcaster, self.answers = application, door, broadcaster, answers
        self._strangers: dict[socket.socket, None] = {}
        self._known: set[socket.socket] = set()
        self._handed: set[socket.socket] = set()
        self._counting = threading.Lock()
        self.base_environ: dict[str, Any] = {}
        self._bell = -1
        # Closes itself where it fails.
        super().__init__(address, _Handler)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks the resolver for this machine's name, which may take long.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]
        WSGIServer.setup_environ(self)  # type: ignore[arg-type]

    def serve(self) -> None:
        """Answer until `end`."""
        poll = select.poll()
        for descriptor in (self.fileno(), self._bell):
            poll.register(descriptor, select.POLLIN)
        while self._bell not in dict(poll.poll()):
            self.handle_request()

    def end(self) -> None:
        """Have `serve` return. From another thread."""
        os.eventfd_write(self._bell, 1)

    def server_close(self) -> None:
        super().server_close()
        if self._bell != -1:
            os.close(self._bell)

    def get_app(self) -> Any:
        return self.application

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            self._strangers[request] = None
            oldest = next(iter(self._strangers)) if len(self._strangers) > MOST_AT_ONCE else None
        if oldest is not None:
            hang_up(oldest)
        super().process_request(request, client_address)

    def know(self, request: socket.socket) -> bool:
        """Move a connection to those that have shown the key, which no stranger drives out; False when full."""
        with self._counting:
            self._strangers.pop(request, None)
            self._known.add(request)
            return len(self._known) <= MOST_KNOWN

    def shutdown_request(self, request: Any) -> None:
        if request in self._handed:
            # The stream goes on at the broadcaster's own descriptor.
            request.close()
        elif request in self._known:
            super().shutdown_request(request)
        else:
            part(request)
        with self._counting:
            for kept in (self._handed, self._known):
                kept.discard(request)
            self._strangers.pop(request, None)

    def hand_over(self, request: socket.socket, last: int | None, history: str, authorization: str) -> bool:
        """Give a connection to the broadcaster, for as long as its key is one; False when there are too many."""
        welcome = partial(self._welcome, authorization)
        if not self.broadcaster.take(request.dup(), last, history, welcome):
            return False
        with self._counting:
            self._handed.add(request)
        return True

    def _welcome(self, authorization: str) -> bool:
        return self.door.opens(authorization) is not None

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        # A browser that closes a tab is no news.
        if not isinstance(error, (ConnectionError, TimeoutError)):
            sys.stderr.write(f"hive page: {error!r}\n")


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
        begun, status = time.monotonic(), HTTPStatus.BAD_REQUEST
        try:
            path = urlsplit(self.path).path
            self.server.door.check_names(self.headers.get_all("Host", []), self.headers.get_all("Origin", []))
            key = self.headers.get("Authorization", "")
            if self.server.door.opens(key) is not None and not self.server.know(self.connection):
                raise Denied(HTTPStatus.SERVICE_UNAVAILABLE, "Too much is asked for at once; ask again in a moment.")
            if self.command == "GET" and path == "/events":
                self.server.door.admit(key, str(self.client_address[0]))
                self._stream()
                return
            status = self._call()
        except Denied as error:
            status = error.status
            self._deny(error.status, error.message)
        except ValueError:
            self._deny(HTTPStatus.BAD_REQUEST, "That is no address of a page.")
        self.server.answers.count(status, time.monotonic() - begun)

    def _call(self) -> HTTPStatus:
        handler = ServerHandler(self.rfile, self.wfile, sys.stderr, self.get_environ(), multithread=True)  # type: ignore[arg-type]
        handler.request_handler = self  # type: ignore[attr-defined]  # where wsgiref looks for it
        statuses: list[int] = []

        def application(environ: Any, start_response: Any) -> Any:
            def start(status: str, *more: Any) -> Any:
                statuses.append(int(status.split(maxsplit=1)[0]))
                return start_response(status, *more)

            return self.server.application(environ, start)

        handler.run(application)
        return HTTPStatus(statuses[-1]) if statuses else HTTPStatus.INTERNAL_SERVER_ERROR

    def _stream(self) -> None:
        last = self.headers.get("Last-Event-ID", "")
        after = int(last) if last.isascii() and last.isdigit() and len(last) < 19 else None
        head = ["HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nConnection: close\r\n"]
        # A proxy before the page is not to keep what comes until it is much.
        head += ["X-Accel-Buffering: no\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in HEADERS.items()]
        self.connection.sendall(("".join(head) + "\r\n: welcome\n\n").encode())
        history = parse_qs(urlsplit(self.path).query).get("history", [""])[0]
        if not self.server.hand_over(self.connection, after, history, self.headers.get("Authorization", "")):
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
