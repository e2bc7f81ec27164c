"""A model's service on loopback that answers by a script and keeps what it was asked: what every such stand-in shares."""

from __future__ import annotations

import json
import re
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request for an answer.

    text: what it says last (the last user message, or what the tool results hold). tool_results: the ids and texts of
    the tool results in that. system: the instructions. tools: the names of those on offer. model, headers, body: as
    they came.
    """

    text: str
    tool_results: tuple[tuple[str, str], ...]
    model: str
    headers: dict[str, str]
    body: Json
    system: str
    tools: list[str]


@dataclass(frozen=True)
class Text:
    """An answer in words. wait: an event to wait for between the beginning and the end of the answer."""

    text: str
    wait: threading.Event | None = None


@dataclass(frozen=True)
class ToolUse:
    """An answer that calls a tool; one of an MCP server is named `mcp__SERVER__TOOL`."""

    name: str
    input: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An answer that is an error of the service."""

    status: int
    kind: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


Answer = Text | ToolUse | Failure
Script = Callable[[Asked], Answer] | Sequence[tuple[str, Answer]]


class ScriptedApi(ABC):
    """The server, for a `with` block.

    asked: what it was asked. elsewhere: the hosts and ports that it was to connect to, being somebody's proxy.
    script: decides by what was asked; or pairs of a regular expression over the text that was said last
    and the answer, of which the first that fits is given (`ok` when none does).
    """

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self.elsewhere: list[str] = []
        self._script = script
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": self}))
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def base_url(self) -> str:
        """The address that its clients are told."""
        return self.url

    # What a service has of its own.

    @abstractmethod
    def serves(self, path: str) -> bool:
        """Whether a model is asked at this path."""

    @abstractmethod
    def read(self, body: Json, headers: dict[str, str]) -> Asked:
        """What was asked."""

    @abstractmethod
    def stream(self, answer: Text | ToolUse, body: Json) -> Iterator[Json]:
        """The events of an answer to a request."""

    @abstractmethod
    def error(self, failure: Failure) -> Json:
        """The body of an error."""

    # What they share.

    def __enter__(self) -> ScriptedApi:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_asked(self, count: int, seconds: float = 60) -> None:
        """Wait until `count` requests came. Raises AssertionError after `seconds`."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.asked) >= count, seconds), (
                f"only {len(self.asked)} of {count} requests came"
            )

    def answer(self, body: Json, headers: dict[str, str]) -> Answer:
        asked = self.read(body, headers)
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
        if callable(self._script):
            return self._script(asked)
        return next((answer for pattern, answer in self._script if re.search(pattern, asked.text)), Text("ok"))


class _Handler(BaseHTTPRequestHandler):
    """What the server does with a request; each server has a class of its own that names its api."""

    api: ScriptedApi
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_CONNECT(self) -> None:
        self.api.elsewhere.append(self.path)
        self._json(403, {})

    def do_GET(self) -> None:
        # 426 (RFC 9110) tells a client that asks for a WebSocket to go on without one.
        self._json(426 if "upgrade" in self.headers else 404, {})

    def do_POST(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length) or b"{}")
        # A client that was killed meanwhile is none of the server's trouble.
        with suppress(ConnectionError):
            if not self.api.serves(self.path):
                self._json(404, self.api.error(Failure(404, "not_found_error", self.path)))
                return
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._answer(self.api.answer(body, headers), body)

    def _answer(self, answer: Answer, body: Json) -> None:
        if isinstance(answer, Failure):
            self._json(answer.status, self.api.error(answer), answer.headers)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for event in self.api.stream(answer, body):
            self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
            self.wfile.flush()
        self.close_connection = True

    def _json(self, status: int, value: Json, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def wait_in(answer: Text | ToolUse) -> None:
    """Wait in the middle of an answer for as long as its script wants."""
    if isinstance(answer, Text) and answer.wait is not None:
        answer.wait.wait(300)


def read_script(path: str) -> Script:
    """A script file is a JSON array of [regular expression, {"text"|"tool"|"status": ...}]."""
    with open(path, encoding="utf-8") as file:
        rules = json.load(file)
    return [(pattern, _read_answer(answer)) for pattern, answer in rules]


def _read_answer(answer: Json) -> Answer:
    if "tool" in answer:
        return ToolUse(answer["tool"], answer.get("input", {}))
    if "status" in answer:
        return Failure(answer["status"], answer["kind"], answer["message"], answer.get("headers", {}))
    return Text(answer["text"])


def main(service: type[ScriptedApi]) -> None:
    """Run a service by the script file in the first argument, until standard input ends; its address is printed."""
    with service(read_script(sys.argv[1])) as running:
        print(running.url, flush=True)
        # Lives as long as its standard input: whoever started it need not remember to kill it.
        sys.stdin.read()
