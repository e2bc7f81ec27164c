"""Serving the agent's page beside its turns, in a thread."""

from __future__ import annotations

import sys
import threading
from typing import Any

from hive_agent.errors import Stopped
from hive_agent.live import Live
from hive_agent.page.binding import bind
from hive_agent.page.controls import Controls
from hive_agent.page.page import Page
from hive_agent.settings import HarnessSettings
from hive_agent.waits import Waits


def beside(settings: HarnessSettings, waits: Waits, live: Live, controls: Controls) -> None:
    """Serve the page in a thread for as long as the process lives. Turns never wait for it."""
    port = settings.port
    if port is None or not settings.page_token:
        return

    def serve() -> None:
        try:
            page = bind(port, lambda number: Page(number, _handled, settings, live, controls), waits.pause, _log)
        except Stopped:
            return
        except OSError as error:
            _log(f"no page: port {port} cannot be used: {error.strerror}")
            return
        _log(f"page on port {port}")
        page.serve_forever()

    threading.Thread(target=serve, name="page", daemon=True).start()


def _handled(*connection: Any) -> object:
    """Answer what comes by a connection.

    What that takes is loaded for the first one: HTTP is a fifth of a harness's start, and most pages are never opened.
    """
    from hive_agent.page.handling import Handler

    return Handler(*connection)


def _log(text: str) -> None:
    sys.stderr.write(f"hive agent: {text}\n")
