"""A stand-in of ntfy's server, in what its documentation says of publishing (docs.ntfy.sh/publish), on loopback.

`POST /` takes JSON with a topic, `POST /TOPIC` a text with headers; it is answered with the message as JSON. A topic with
a wrong token is forbidden (403), and so many a while are too many (429), each with ntfy's `code`, `http` and `error`.
"""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any


class Ntfy(ThreadingTCPServer):
    """The server, for a `with` block. taken: what was published. answers: with what it refuses, one after the other."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0, token: str = "") -> None:
        self.taken: list[dict[str, Any]] = []
        self.answers: list[int] = []
        self.token, self.hanging = token, threading.Event()
        self.hanging.set()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def __exit__(self, *of: object) -> None:
        self.hanging.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Ntfy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.hanging.wait()
        if self.server.token and self.headers["Authorization"] != f"Bearer {self.server.token}":
            self._answer(403, {"code": 40301, "http": 403, "error": "forbidden"})
        elif self.server.answers:
            code = self.server.answers.pop(0)
            self._answer(code, {"code": code * 100 + 1, "http": code, "error": "limit reached"})
        else:
            self._publish(body)

    def _publish(self, body: bytes) -> None:
        topic = self.path.strip("/")
        said = {"topic": topic, "message": body.decode()} if topic else json.loads(body)
        if not said.get("topic"):
            self._answer(400, {"code": 40009, "http": 400, "error": "invalid request: topic invalid"})
            return
        self.server.taken.append(said)
        number = len(self.server.taken)
        self._answer(200, {"id": f"id{number:010}", "time": 1, "event": "message", **said})

    def _answer(self, code: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *of: object) -> None:
        pass
