"""Clients of an agent's page: plain HTTP, the stream, and a real browser."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.agent.conftest import Place

KEY = "the-key-of-this-start"
OWN = "the key that the client has"
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """Who asks an agent's page, with its key unless another is given."""

    def __init__(self, where: Place | int, key: str = KEY) -> None:
        self.port = where if isinstance(where, int) else int(where.environment["HIVE_PORT"])
        self.key = key

    def request(
        self, method: str, path: str, body: object = None, *, key: str | None = OWN, **headers: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        key = self.key if key == OWN else key
        own = {} if key is None else {"Authorization": f"Bearer {key}"}
        data = None if body is None else json.dumps(body)
        connection.request(method, path, data, {**own, **{name.replace("_", "-"): v for name, v in headers.items()}})
        return connection, connection.getresponse()

    def ask(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
        connection, answer = self.request(method, path, body, **more)
        try:
            data = answer.read()
            return answer.status, json.loads(data) if answer.headers["Content-Type"].startswith("application") else data
        finally:
            connection.close()

    @contextmanager
    def stream(self, path: str = "/events", **headers: str) -> Iterator[Iterator[tuple[str, int, Any]]]:
        connection, answer = self.request("GET", path, **headers)
        assert answer.status == 200
        # Signs of life keep a stream open for ever: what has not come by then never will.
        deadline = threading.Timer(PATIENCE, lambda: answer.fp.raw._sock.shutdown(socket.SHUT_RDWR))
        deadline.start()
        try:
            yield told(answer)
        finally:
            deadline.cancel()
            connection.close()
            answer.close()


def login(news: Iterator[tuple[str, int, Any]], state: str, said: str = "") -> Any:
    """Wait until a stream tells of a login in this state ('none' is without one), with these words; what it tells.

    A state that does not last may never be told: a stream tells how it is, not how it came about.
    """
    for kind, _, data in news:
        found = data.get("login") or {"state": "none", "said": ""} if kind == "now" else {}
        if found.get("state") == state and said in found["said"]:
            return data["login"]
    raise AssertionError(f"no login was {state}, saying {said!r}")


def told(answer: http.client.HTTPResponse) -> Iterator[tuple[str, int, Any]]:
    """What a stream tells: (kind, id or 0, data)."""
    fields: dict[str, str] = {}
    while line := answer.readline().decode():
        name, _, value = line.rstrip("\n").partition(": ")
        if line != "\n":
            fields[name] = value
        elif fields:
            if "data" in fields:
                yield fields["event"], int(fields.get("id", 0)), json.loads(fields["data"])
            fields = {}
