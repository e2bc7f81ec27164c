"""Clients of an agent's page: plain HTTP, the stream, and a real browser."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.agent.conftest import Place

KEY = "the-key-of-this-start"
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Client:
    """Who asks an agent's page, with its key unless another is given."""

    def __init__(self, place: Place) -> None:
        self.port = int(place.environment["HIVE_PORT"])

    def request(
        self, method: str, path: str, body: object = None, *, key: str | None = KEY, **headers: str
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
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
    def stream(self, **headers: str) -> Iterator[Iterator[tuple[str, int, Any]]]:
        connection, answer = self.request("GET", "/events", **headers)
        assert answer.status == 200
        try:
            yield told(answer)
        finally:
            connection.close()
            answer.close()


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
