"""What the agent's page answers: its files and the proof to anyone, the rest to who has the key."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qs, urlsplit

from hive_agent.errors import AgentError, Stopped
from hive_agent.page.controls import text_of
from hive_agent.page.door import HEADERS, Denied
from hive_agent.page.page import Page
from hive_agent.page.reading import EVENTS, RecordReader
from hive_agent.page.shield import NONCE, prove
from hive_agent.page.stream import follow
from hive_agent.turns.record import RECORD_FILE

LARGEST_REQUEST = 1024 * 1024
_STATIC = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    **{f"/{name}.js": (f"{name}.js", "text/javascript") for name in ("page", "markdown", "text", "tools")},
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: Page
    timeout = 10.0
    server_version, sys_version = "hive", ""

    def log_message(self, format: str, *args: Any) -> None:
        """Keep requests out of the journal: any process of the machine could fill it."""

    def do_GET(self) -> None:
        reads: dict[str, Callable[[], None]] = {"/api/state": self._state, "/events": self._events}
        self._serve(reads)

    def do_POST(self) -> None:
        controls = self.server.controls
        acts: dict[str, Callable[[], None]] = {
            "/api/send": lambda: controls.send(text_of(self._body(), "body", 200_000)),
            "/api/model": lambda: controls.choose_model(text_of(self._body(), "model", 200)),
            "/api/cancel": controls.cancel,
            "/api/nudge": controls.nudge,
            "/api/login": controls.login.start,
            "/api/login-code": lambda: controls.login.give(text_of(self._body(), "code", 4000)),
            "/api/login-cancel": controls.login.cancel,
        }
        self._serve({path: lambda act=act: self._act(act) for path, act in acts.items()})  # type: ignore[misc]

    def _serve(self, routes: dict[str, Callable[[], None]]) -> None:
        try:
            self._check_origin()
            path = self._url().path
            if self.command == "GET" and path in _STATIC:
                self._static(*_STATIC[path])
                return
            if self.command == "GET" and path == "/proof":
                self._prove()
                return
            self._check_key()
            if path not in routes:
                raise Denied(HTTPStatus.NOT_FOUND, "There is nothing here.")
            routes[path]()
        except Denied as error:
            self._json({"ok": False, "error": error.message}, error.status)
        except Stopped:
            raise
        except AgentError as error:
            self._json({"ok": False, "error": error.message}, HTTPStatus.CONFLICT)
        except sqlite3.Error as error:
            self._json({"ok": False, "error": f"The record cannot be read: {error}."}, HTTPStatus.CONFLICT)

    def _url(self) -> SplitResult:
        try:
            return urlsplit(self.path)
        except ValueError:
            raise Denied(HTTPStatus.BAD_REQUEST, "That is no address of a page.") from None

    def _check_origin(self) -> None:
        self.server.door.check_names(self.headers.get_all("Host", []), self.headers.get_all("Origin", []))

    def _check_key(self) -> None:
        self.server.door.admit(self.headers.get("Authorization", ""), str(self.client_address[0]))
        if not self.server.know(self.connection):
            raise Denied(HTTPStatus.SERVICE_UNAVAILABLE, "Too many pages are open; close some.")

    def _body(self) -> dict[str, Any]:
        """The JSON object that a POST carries. Raises Denied."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or len(length) > 9 or int(length) > LARGEST_REQUEST:
            raise Denied(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request has no length, or is too large.")
        try:
            value = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise Denied(HTTPStatus.BAD_REQUEST, "The request is no JSON object.")
        return value

    # Answers.

    def _begin(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**HEADERS, "Content-Type": f"{kind}; charset=utf-8"}.items():
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        data = json.dumps(value).encode()
        self._begin(status, "application/json", len(data))
        self.wfile.write(data)

    def _static(self, name: str, kind: str) -> None:
        data = (Path(__file__).resolve().parent / "static" / name).read_bytes()
        self._begin(HTTPStatus.OK, kind, len(data))
        self.wfile.write(data)

    def _prove(self) -> None:
        """Show that this is the page of whoever has the key, without either side giving it away."""
        nonce = parse_qs(self._url().query).get("nonce", [""])[0]
        key = self.server.settings.page_token
        if not key or not NONCE.fullmatch(nonce):
            raise Denied(HTTPStatus.BAD_REQUEST, "A nonce is 32 to 128 hexadecimal digits.")
        self._json({"proof": prove(key, nonce, self.server.server_port)})

    def _act(self, act: Callable[[], None]) -> None:
        act()
        self._json({"ok": True})

    def _reading(self) -> RecordReader:
        return RecordReader(self.server.settings.state / RECORD_FILE)

    def _now(self) -> dict[str, Any]:
        return {"label": self.server.settings.label, **self.server.live.snapshot()}

    def _state(self) -> None:
        """The cold load: everything there is to show, and the number that the stream goes on from."""
        self.server.controls.look()
        with self._reading() as reading:
            # The events first: a turn that begins in between comes with the stream, whole.
            events = reading.last_events()
            turns = reading.turns()
        seq = events[-1]["seq"] if events else 0
        self._json({"now": self._now(), "turns": turns, "events": events, "seq": seq})

    def _events(self) -> None:
        """The stream: `now` and `turn` carry whole snapshots and no id, `event` carries its durable seq as id."""
        with self._reading() as reading:
            after = self._after(reading)
            self._begin(HTTPStatus.OK, "text/event-stream")
            for kind, value in follow(reading, self.server.live, self.server.controls, after, self._now):
                mark = f"id: {value['seq']}\n" if kind == "event" else ""
                text = f"{mark}event: {kind}\ndata: {json.dumps(value)}\n\n" if kind else ": still here\n\n"
                self.wfile.write(text.encode())
                self.wfile.flush()

    def _after(self, reading: RecordReader) -> int:
        """Where the stream begins: after `Last-Event-ID`, or with the query's `last` events, or with what comes."""
        last = self.headers.get("Last-Event-ID", "")
        if last.isascii() and last.isdigit():
            return int(last[:18])
        asked = parse_qs(self._url().query).get("last", ["0"])[0]
        count = min(int(asked), EVENTS) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
        events = reading.last_events(count)
        return int(events[0]["seq"]) - 1 if events else reading.newest()
