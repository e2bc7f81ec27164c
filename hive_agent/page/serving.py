"""Serving the agent's page beside its turns: a port that is tried again while something else has it, and a thread."""

from __future__ import annotations

import errno
import sys
import threading
from collections.abc import Callable

from hive_agent.back_off import BackOff
from hive_agent.errors import Stopped
from hive_agent.live import Live
from hive_agent.page.controls import Controls
from hive_agent.page.page import Page
from hive_agent.settings import HarnessSettings
from hive_agent.waits import Waits

TRIES = 12
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 2.0


def bind(port: int, make: Callable[[int], Page], waits: Waits) -> Page:
    """Make the page, trying again while something else has its port, as what ran before may for a moment.

    Raises OSError: EADDRINUSE after the last of 12 tries, any other at once.
    """
    tries = BackOff(FIRST_PAUSE, LONGEST_PAUSE)
    for _ in range(TRIES - 1):
        try:
            return make(port)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        pause = tries.failed()
        _log(f"port {port} is in use, next try in {pause:g} s")
        waits.pause(pause)
    return make(port)


def beside(settings: HarnessSettings, waits: Waits, live: Live, controls: Controls) -> None:
    """Serve the page in a thread for as long as the process lives. Turns never wait for it."""
    port = settings.port
    if port is None or not settings.page_token:
        return

    def serve() -> None:
        try:
            page = bind(port, lambda number: Page(number, settings, live, controls), waits)
        except Stopped:
            return
        except OSError as error:
            _log(f"no page: port {port} cannot be used: {error.strerror}")
            return
        _log(f"page on port {port}")
        page.serve_forever()

    threading.Thread(target=serve, name="page", daemon=True).start()


def _log(text: str) -> None:
    sys.stderr.write(f"hive agent: {text}\n")
