"""A status page that is served in the test's own process, with the gate before it: nothing is started but threads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hive_faces.gate import gate
from hive_faces.page.serving import serving
from tests.agent.browser import Client, free_port
from tests.hives import TestHive, eventually


@dataclass
class NearPage:
    """The page of a hive. said: what was told to whoever began it."""

    hive: TestHive
    port: int
    said: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.hive.home / "page.json"

    def key(self, opens: str = "all") -> str:
        keys: dict[str, str] = json.loads(self.file.read_text())["keys"]
        return next(key for key, what in keys.items() if what == opens)

    @property
    def client(self) -> Client:
        return Client(self.port, self.key())

    @property
    def looker(self) -> Client:
        return Client(self.port, self.key("read"))


@contextmanager
def page_near(hive: TestHive, port: int | None = None, socket: Path | None = None, **more: Any) -> Iterator[NearPage]:
    """Serve the page of a hive, or of another's socket, for as long as the block runs; it may not have its port yet."""
    near = NearPage(hive, port or free_port())
    inside = hive.inside()
    inside.say = near.said.append
    with inside.lone("page", "a test"), serving(inside, socket or hive.root / "run" / "host.sock", near.port, **more):
        yield near


@contextmanager
def served_near(hive: TestHive, **more: Any) -> Iterator[NearPage]:
    """Serve a hive's gate and its page, until both answer and then for as long as the block runs."""
    with gate.beside(hive.inside()), page_near(hive, **more) as near:
        eventually(near.file.exists)
        follows(Client(near.port, next(iter(json.loads(near.file.read_text())["keys"]))))
        yield near


def follows(client: Client) -> None:
    """Wait until the page follows hive's events: what happens from now on is told as an event, not by a `resync`."""
    eventually(lambda: client.ask("GET", "/api/state")[0] == 200)
    eventually(lambda: _follows(client))


def _follows(client: Client) -> bool:
    connection, answer = client.request("GET", "/metrics")
    text = answer.read()
    connection.close()
    return b"hive_page_events_total" in text
