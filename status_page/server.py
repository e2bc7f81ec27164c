"""The page's server: Bottle's answers in threads, and each open stream handed to the one broadcaster."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from functools import partial
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from hive_agent.page.admission import AdmittingServer
from hive_agent.page.door import HEADERS, Denied, Door
from status_page.broadcaster import Broadcaster
from status_page.metrics import Answers

# Requests of strangers at once; the oldest, which has not shown the key yet, has to go.
MOST_AT_ONCE = 64
# Requests answered at once of those who have shown the key; beyond that they are told to come again.
MOST_KNOWN = 256
# Seconds that a request may take to arrive.
ARRIVAL = 10.0


class PageServer(AdmittingServer):
    """The page's server. application: a WSGI application."""

    request_queue_size = 256
    most_strangers, most_known = MOST_AT_ONCE, MOST_KNOWN
    called = "hive page"

    def __init__(
        self, address: tuple[str, int], application: Any, door: Door, broadcaster: Broadcaster, answers: Answers
    ) -> None:
        self.application, self.door, self.broadcaster, self.answers = application, door, broadcaster, answers
        self._handed: set[socket.socket] = set()
        self.base_environ: dict[str, Any] = {}
        self._bell = -1
        # Closes itself where it fails.
        super().__init__(address, _Handler)
        self._bell = os.eventfd(0, os.EFD_CLOEXEC)

    def server_bind(self) -> None:
        super().server_bind()
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

    def end_request(self, request: Any) -> None:
        if request in self._handed:
            # The stream goes on at the broadcaster's own descriptor.
            request.close()
            self._handed.discard(request)
        else:
            super().end_request(request)

    def hand_over(self, request: socket.socket, last: int | None, history: str, authorization: str) -> bool:
        """Give a connection to the broadcaster, for as long as its key is one; False when there are too many."""
        welcome = partial(self._welcome, authorization)
        if not self.broadcaster.take(request.dup(), last, history, welcome):
            return False
        self._handed.add(request)
        return True

    def _welcome(self, authorization: str) -> bool:
        return self.door.opens(authorization) is not None


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
