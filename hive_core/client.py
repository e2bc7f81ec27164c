"""A client of the operator's socket, for a program that shows hive; it asks by `op`, and needs nothing else of hive."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from hive_agent.back_off import BackOff
from hive_core.errors import Refused
from hive_core.unix_socket import connected

# Seconds without a word after which nobody is at the other end: the gate says something every ten.
SILENCE = 30.0
# Seconds between tries to reach a gate again.
FIRST, LONGEST = 0.1, 5.0


class Client:
    """Asks over the socket at `path`. Every call has a connection of its own, so that any thread may make one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._closed = threading.Event()
        self._following: set[socket.socket] = set()

    def close(self) -> None:
        """End what is followed, in whatever thread that is."""
        self._closed.set()
        for connection in list(self._following):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def call(self, op: str, **arguments: Any) -> Any:
        """What an operation returns. Raises Refused with what it was refused for; OSError where nobody serves."""
        with closing(connected(self._path, None)) as connection:
            return _ask(_lines(connection), connection, {"op": op, **arguments})

    def stream(self, op: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        """What an operation gives that goes on and on, with its heartbeats. Raises as `call` does, before the first."""
        connection = connected(self._path, SILENCE)
        try:
            lines = _lines(connection)
            _ask(lines, connection, {"op": op, **arguments})
        except BaseException:
            connection.close()
            raise
        return self._items(connection, lines)

    def _items(self, connection: socket.socket, lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
        with closing(connection), self._registered(connection):
            for line in lines:
                item = json.loads(line)
                yield item
                if item["kind"] == "end":
                    return

    def state(self) -> dict[str, Any]:
        """What `state` tells, asked for until there is an answer. Raises ConnectionAbortedError when this is closed."""
        tries = BackOff(FIRST, LONGEST)
        while not self._closed.is_set():
            with suppress(OSError, Refused, ValueError):
                return dict(self.call("state"))
            self._closed.wait(tries.failed())
        raise ConnectionAbortedError("This client is closed.")

    def events(self, since: int, *, said: bool = False) -> Iterator[dict[str, Any]]:
        """Every event after `since`, each once and in order, over whatever restarts of the gate.

        Among them are a `heartbeat` now and then for as long as the gate is there, and a `resync` whenever the state
        has to be asked for anew. Ends when the client is closed. said: with what a person is told of each.
        """
        tries = BackOff(FIRST, LONGEST)
        while not self._closed.is_set():
            # Refused, or no JSON: what cannot be served now may be so later.
            with suppress(OSError, Refused, ValueError):
                for event in self._follow(since, said):
                    since = event["seq"]
                    tries.succeeded()
                    yield event
            self._closed.wait(tries.failed())

    def _follow(self, since: int, said: bool) -> Iterator[dict[str, Any]]:
        """Events over one connection. Raises an error when it ends."""
        with closing(connected(self._path, SILENCE)) as connection, self._registered(connection):
            lines = _lines(connection)
            _ask(lines, connection, {"op": "events", "since": since, "follow": True, "said": said})
            for line in lines:
                event = json.loads(line)
                if "kind" not in event:
                    raise Refused(event["error"], event.get("hint"))
                yield event
            raise ConnectionResetError

    @contextmanager
    def _registered(self, connection: socket.socket) -> Iterator[None]:
        self._following.add(connection)
        try:
            # Whoever has closed this in a moment ago may not have seen this connection.
            if self._closed.is_set():
                raise ConnectionAbortedError("This client is closed.")
            yield
        finally:
            self._following.discard(connection)


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """The whole lines that come, without what the peer was cut off in."""
    pending = bytearray()
    while data := connection.recv(65536):
        pending += data
        *whole, rest = pending.split(b"\n")
        yield from map(bytes, whole)
        pending = bytearray(rest)


def _ask(lines: Iterator[bytes], connection: socket.socket, request: dict[str, Any]) -> Any:
    connection.sendall(json.dumps(request).encode() + b"\n")
    line = next(lines, None)
    if line is None:
        raise ConnectionResetError("The gate has hung up.")
    try:
        answer = json.loads(line)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or "ok" not in answer:
        raise ConnectionError("Whoever answers at the socket is no hive.")
    if not answer["ok"]:
        raise Refused(str(answer.get("error")), answer.get("hint"))
    return answer["result"]
