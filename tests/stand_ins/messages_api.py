"""A scripted Messages API on loopback: answers as the real service does, by a script, and keeps what it was asked."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request for a message.

    text: what the last `user` message says (its texts, or what its tool results hold). tool_results: the ids
    and texts of the tool results in it. model, headers, body: as they came.
    """

    text: str
    tool_results: tuple[tuple[str, str], ...]
    model: str
    headers: dict[str, str]
    body: Json

    @property
    def system(self) -> str:
        system = self.body.get("system") or ""
        return system if isinstance(system, str) else "\n".join(block.get("text", "") for block in system)

    @property
    def tools(self) -> list[str]:
        return [tool["name"] for tool in self.body.get("tools", [])]


@dataclass(frozen=True)
class Text:
    """An answer in words. wait: an event to wait for between the beginning and the end of the answer."""

    text: str
    wait: threading.Event | None = None


@dataclass(frozen=True)
class ToolUse:
    """An answer that calls a tool."""

    name: str
    input: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """An answer that is an error of the service."""

    status: int
    kind: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


UNAUTHORIZED = Failure(401, "authentication_error", "invalid x-api-key")
OVERLOADED = Failure(529, "overloaded_error", "Overloaded")
PROMPT_TOO_LONG = Failure(400, "invalid_request_error", "prompt is too long: 215000 tokens > 200000 maximum")

Answer = Text | ToolUse | Failure
Script = Callable[[Asked], Answer] | Sequence[tuple[str, Answer]]


def rate_limited(until: float) -> Failure:
    """HTTP 429 as a subscription's limit gives it; until: unix seconds at which it resets."""
    headers = {
        "retry-after": str(max(1, int(until - time.time()))),
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": str(int(until)),
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
    }
    return Failure(429, "rate_limit_error", "This request would exceed your account's rate limit.", headers)


class MessagesApi:
    """The server, for a `with` block.

    script: decides by what was asked; or pairs of a regular expression over the last user message's text
    and the answer, of which the first that fits is given (`ok` when none does).
    """

    def __init__(self, script: Script) -> None:
        self.asked: list[Asked] = []
        self._script = script
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> MessagesApi:
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
        asked = _asked(body, headers)
        with self._changed:
            self.asked.append(asked)
            self._changed.notify_all()
        if callable(self._script):
            return self._script(asked)
        return next((answer for pattern, answer in self._script if re.search(pattern, asked.text)), Text("ok"))

    def _handler(api: MessagesApi) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                length = int(self.headers.get("content-length", 0))
                body = json.loads(self.rfile.read(length) or b"{}")
                # A client that was killed meanwhile is none of the server's trouble.
                with suppress(ConnectionError):
                    if not self.path.startswith("/v1/messages") or "count_tokens" in self.path:
                        self._json(404, {"type": "error", "error": {"type": "not_found_error", "message": self.path}})
                        return
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    self._answer(api.answer(body, headers), body)

            def _answer(self, answer: Answer, body: Json) -> None:
                if isinstance(answer, Failure):
                    error = {"type": answer.kind, "message": answer.message}
                    self._json(answer.status, {"type": "error", "error": error}, answer.headers)
                    return
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                for event in _stream(answer, body.get("model", "x")):
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

        return Handler


def _stream(answer: Text | ToolUse, model: str) -> Iterator[Json]:
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": f"msg_{time.monotonic_ns()}", "type": "message", "role": "assistant", "model": model}
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None, "usage": usage}}
    if isinstance(answer, Text):
        block: Json = {"type": "text", "text": ""}
        delta: Json = {"type": "text_delta", "text": answer.text}
    else:
        block = {"type": "tool_use", "id": f"toolu_{time.monotonic_ns()}", "name": answer.name, "input": {}}
        delta = {"type": "input_json_delta", "partial_json": json.dumps(answer.input)}
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    if isinstance(answer, Text) and answer.wait is not None:
        answer.wait.wait(300)
    yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    reason = "end_turn" if isinstance(answer, Text) else "tool_use"
    yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 5}}
    yield {"type": "message_stop"}


def _asked(body: Json, headers: dict[str, str]) -> Asked:
    messages = [message for message in body.get("messages", []) if message["role"] == "user"]
    content = messages[-1]["content"] if messages else ""
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    results = tuple((block["tool_use_id"], _words(block)) for block in blocks if block["type"] == "tool_result")
    text = "\n".join(_words(block) for block in blocks)
    return Asked(text, results, str(body.get("model")), headers, body)


def _words(block: Json) -> str:
    content = block.get("text", block.get("content", ""))
    return content if isinstance(content, str) else "\n".join(_words(part) for part in content or [])


def _read_script(path: str) -> Script:
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


if __name__ == "__main__":
    with MessagesApi(_read_script(sys.argv[1])) as running:
        print(running.url, flush=True)
        # Lives as long as its standard input: whoever started it need not remember to kill it.
        sys.stdin.read()
