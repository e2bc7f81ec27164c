"""A stand-in for hive's gate: the agent's socket with the verbs that the harness and the MCP bridge use, in memory."""

from __future__ import annotations

import json
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path
from typing import Any

Json = dict[str, Any]
VERBS = ("recv", "ack", "nack", "recent", "set_status", "set_model", "turn_settings", "send")
TOOLS = (
    {"name": "send", "description": "Send a message.", "inputSchema": {"type": "object"}},
    {"name": "recv", "description": "Take messages.", "inputSchema": {"type": "object"}},
)


class Unknown(Exception):
    """An argument that an older gate does not take."""


@dataclass
class Message:
    """A message in the stand-in's memory. state: 'waiting', 'delivered' or 'acknowledged'."""

    id: int
    sender: str
    to: str
    body: str
    state: str = "waiting"
    redelivered: bool = False
    deliveries: int = 0
    at: int = field(default_factory=lambda: int(time.time()))

    def wire(self) -> Json:
        fields = {"id": self.id, "from": self.sender, "to": self.to, "body": self.body}
        return {**fields, "at": self.at, "redelivered": self.redelivered}


@dataclass
class Gate:
    """One agent's gate, for a `with` block.

    path: where its socket is. name: the agent's. inbox: its messages; sent: what it sent, as (to, body);
    statuses: what it said of itself, in order. refuse: verbs to refuse, with the sentence to say.
    """

    path: Path
    name: str = "coder"
    inbox: list[Message] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    statuses: list[Json] = field(default_factory=list)
    settings: Json = field(default_factory=lambda: {"paused": False, "port": 8100})
    calls: list[str] = field(default_factory=list)
    refuse: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._connections: set[Any] = set()
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def __enter__(self) -> Gate:
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()

    def open(self) -> None:
        """Begin to listen, also again after `shut`: that is a gate that was restarted."""
        self.path.unlink(missing_ok=True)
        self._server = socketserver.ThreadingUnixStreamServer(str(self.path), self._handler())
        self._server.daemon_threads = True
        self._server.block_on_close = False
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def shut(self) -> None:
        """Stop listening and cut every connection; what is remembered stays."""
        server, self._server = self._server, None
        if server is None:
            return
        server.shutdown()
        server.server_close()
        with self.changed:
            for connection in self._connections:
                connection.shutdown(2)
            self.changed.notify_all()

    def put(self, sender: str, body: str) -> Message:
        """A message comes in for the agent."""
        with self.changed:
            message = Message(len(self.inbox) + 1, sender, self.name, body)
            self.inbox.append(message)
            self.changed.notify_all()
        return message

    def set(self, **settings: Any) -> None:
        with self.changed:
            self.settings.update(settings)

    def wait(self, condition: Callable[[Gate], object], what: str, seconds: float = 60) -> None:
        """Wait until `condition(gate)` holds. Raises AssertionError, with all there is to know, after `seconds`."""
        with self.changed:
            held = self.changed.wait_for(lambda: condition(self), seconds)
            assert held, f"no {what}: inbox={self.inbox} sent={self.sent} statuses={self.statuses} calls={self.calls}"

    def wait_state(self, state: str, after: int = 0, text: str = "") -> Json:
        """Wait for a status of this state past the first `after` statuses, with this in its text, and return it."""

        def found(gate: Gate) -> list[Json]:
            told = [status for status in gate.statuses[after:] if status["state"] == state]
            return [status for status in told if text in (status.get("text") or "")]

        self.wait(found, f"status {state!r} {text!r}")
        return dict(found(self)[0])

    def answer(self, request: Json, connection: object) -> Json:
        """Answer one request, as the real gate does."""
        verb = request.get("cmd")
        with self.changed:
            self.calls.append(str(verb))
            self.changed.notify_all()
            if verb in self.refuse:
                return {"version": 1, "ok": False, "error": self.refuse[verb], "hint": "ask the operator"}
            known = getattr(self, f"_{verb}", None)
            if verb not in VERBS or known is None:
                return {"version": 1, "ok": False, "error": f"unknown cmd {verb!r}"}
            try:
                result = known(request, connection)
            except Unknown as error:
                return {"version": 1, "ok": False, "error": str(error)}
            self.changed.notify_all()
            return {"version": 1, "ok": True, **result}

    def _recv(self, request: Json, connection: object) -> Json:
        waiting = lambda: [message for message in self.inbox if message.state == "waiting"]  # noqa: E731
        self.changed.wait_for(lambda: waiting() or connection not in self._connections, float(request.get("wait", 30)))
        taken = waiting()[: int(request.get("limit", 1))] if connection in self._connections else []
        if taken and request.get("together") is True and taken[0].sender == "system":
            taken = list(takewhile(lambda message: message.sender == "system", waiting()))
        for message in taken:
            message.state = "delivered"
            message.deliveries += 1
        return {"messages": [message.wire() for message in taken], "unread": len(waiting())}

    def _ack(self, request: Json, connection: object) -> Json:
        for message in self.inbox:
            if message.state == "delivered":
                message.state = "acknowledged"
        return {}

    def _nack(self, request: Json, connection: object) -> Json:
        for message in self.inbox:
            if message.state == "delivered":
                message.state, message.redelivered = "waiting", True
        return {}

    def _set_status(self, request: Json, connection: object) -> Json:
        self.statuses.append({key: value for key, value in request.items() if key != "cmd"})
        return {}

    def _turn_settings(self, request: Json, connection: object) -> Json:
        return dict(self.settings)

    def _recent(self, request: Json, connection: object) -> Json:
        return {"messages": [message.wire() for message in self.inbox[-int(request.get("limit", 20)) :]]}

    def _set_model(self, request: Json, connection: object) -> Json:
        self.settings["model"] = None if request["model"] == "default" else request["model"]
        return {}

    def _send(self, request: Json, connection: object) -> Json:
        self.sent.append((request["to"], request["body"]))
        if request["to"] == self.name:
            self.put(self.name, request["body"])
        return {"id": len(self.sent)}

    def mcp(self, request: Json, connection: object) -> Json | None:
        """Answer one line of JSON-RPC; None for a notification."""
        if "id" not in request:
            return None
        method, params = request.get("method"), request.get("params") or {}
        result: Json = {}
        if method == "initialize":
            server = {"name": "hive", "version": "0"}
            result = {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}}, "serverInfo": server}
        elif method == "tools/list":
            result = {"tools": list(TOOLS)}
        elif method == "tools/call":
            reply = self.answer({"cmd": params["name"], **params.get("arguments", {})}, connection)
            result = {"content": [{"type": "text", "text": json.dumps(reply)}], "isError": not reply["ok"]}
        return {"jsonrpc": "2.0", "id": request["id"], "result": result}

    def _handler(gate: Gate) -> type[socketserver.StreamRequestHandler]:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                with gate.changed:
                    gate._connections.add(self.connection)
                try:
                    self._serve()
                except (ConnectionError, ValueError):
                    return
                finally:
                    with gate.changed:
                        gate._connections.discard(self.connection)
                        gate.changed.notify_all()

            def _serve(self) -> None:
                answer: Callable[[Json, object], Json | None] = gate.answer
                for line in self.rfile:
                    request = json.loads(line)
                    if request == {"cmd": "mcp"}:
                        answer = gate.mcp
                    else:
                        # Beside the reading, so that a client that hangs up while it waits is noticed.
                        threading.Thread(target=self._reply, args=(answer, request), daemon=True).start()

            def _reply(self, answer: Callable[[Json, object], Json | None], request: Json) -> None:
                reply = answer(request, self.connection)
                if reply is not None:
                    with suppress(OSError, ValueError):
                        self.wfile.write(json.dumps(reply).encode() + b"\n")

        return Handler


if __name__ == "__main__":
    with Gate(Path(sys.argv[1])) as running:
        # Each line on standard input is a message to the agent; its end is the gate's.
        for text in sys.stdin:
            running.put("operator", text.rstrip("\n"))
