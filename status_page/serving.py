"""The page, served: its parts put together, from the port that is had at last to the last tab that is hung up on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from hive_agent.errors import Stopped
from hive_agent.page.binding import bind
from hive_agent.page.door import Door
from hive_core import descriptors
from hive_core.client import Client
from status_page.app import Application
from status_page.broadcaster import Broadcaster
from status_page.metrics import Answers, Metrics
from status_page.server import PageServer


class Serving:
    """The page of one operator's socket, on a port of an address, for whom the door lets in.

    begun: called when it has the port, before anybody is answered. say: tells of a port that is in use.
    """

    def __init__(
        self, path: Path, address: tuple[str, int], door: Door, begun: Callable[[], None], say: Callable[[str], None]
    ) -> None:
        self._address, self._door, self._begun, self._say = address, door, begun, say
        self._client = Client(path)
        self._closing = threading.Event()
        self._changing = threading.Lock()
        self._server: PageServer | None = None

    def run(self) -> None:
        """Serve until `end`. Raises OSError when the port cannot be had."""
        descriptors.allow_many()
        broadcaster, answers = Broadcaster(self._client), Answers()
        metrics = Metrics(self._client, broadcaster, answers)
        app = Application(self._client, self._door, metrics, partial(self._now, broadcaster)).wsgi()
        make = partial(self._made, app, broadcaster, answers)
        broadcaster.start()
        try:
            server = bind(self._address[1], make, self._pause, self._say)
            try:
                self._begun()
                server.serve()
            finally:
                with self._changing:
                    self._server = None
                server.server_close()
        except Stopped:
            return
        finally:
            broadcaster.close()

    def _now(self, broadcaster: Broadcaster) -> dict[str, Any]:
        return {"port": self._address[1], "history": broadcaster.history}

    def end(self) -> None:
        """End it, and hang up on every tab. From another thread."""
        with self._changing:
            self._closing.set()
            if self._server is not None:
                self._server.end()

    def _made(self, app: object, broadcaster: Broadcaster, answers: Answers, port: int) -> PageServer:
        server = PageServer((self._address[0], port), app, self._door, broadcaster, answers)
        with self._changing:
            if not self._closing.is_set():
                self._server = server
                return server
        server.server_close()
        raise Stopped("The page was ended before it had its port.")

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            raise Stopped("The page was ended before it had its port.")
