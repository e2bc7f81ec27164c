"""Serving the agent's page beside its turns, in a thread."""

from __future__ import annotations

import sys
import threading

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
            page = bind(port, lambda number: Page(number, settings, live, controls), waits.pause, _log)
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
