"""The page, served: its parts put together in threads of their own, begun and ended by whoever has it."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from hive_agent.page.door import Door
from hive_core.client import Client
from status_page.app import Application
from status_page.broadcaster import Broadcaster
from status_page.server import PageServer

# As everywhere: whoever had the port before may take a moment to let go of it.
TRIES = 4
FIRST_PAUSE = 0.25


class Serving:
    """The page of one operator's socket, at an address. fileno: becomes readable when it has ended by itself.

    keys: key -> what it opens, `all` or `read`. Raises OSError when the address cannot be had.
    """

    def __init__(self, path: Path, address: tuple[str, int], keys: Mapping[str, str]) -> None:
        client = Client(path)
        names = {address[0], "localhost"}
        door = Door(keys, (f"{name}:{address[1]}" for name in names), "hive open")
        self._broadcaster = Broadcaster(client)
        self._server = _bound(
            address, Application(client, door, lambda: {"port": address[1]}).wsgi(), door, self._broadcaster
        )
        self._ended, self._end = os.pipe2(os.O_CLOEXEC)
        self._error: BaseException | None = None
        self._broadcaster.start()
        self._thread = threading.Thread(target=self._serve, name="page", daemon=True)
        self._thread.start()

    def fileno(self) -> int:
        return self._ended

    def check(self) -> None:
        """Raise what the page has failed with, if it has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End it, and hang up on every tab."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._broadcaster.close()
        os.close(self._ended)

    def _serve(self) -> None:
        try:
            self._server.serve_forever()
        except BaseException as error:  # noqa: BLE001 - the thread that has us checks it
            self._error = error
        finally:
            os.close(self._end)


def _bound(address: tuple[str, int], application: object, door: Door, broadcaster: Broadcaster) -> PageServer:
    pause = FIRST_PAUSE
    for _ in range(TRIES - 1):
        try:
            return PageServer(address, application, door, broadcaster)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        time.sleep(pause)
        pause *= 2
    return PageServer(address, application, door, broadcaster)
