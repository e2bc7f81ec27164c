"""`hive agent run`: puts the parts of the harness together and lets signals reach them."""

from __future__ import annotations

import os
import signal
import sqlite3
import sys

from hive_agent import runners
from hive_agent.errors import AgentError
from hive_agent.live import Live
from hive_agent.page import shield
from hive_agent.page.controls import Controls
from hive_agent.page.login import Login
from hive_agent.settings import HarnessSettings, from_environment
from hive_agent.turns.harness import Harness
from hive_agent.turns.link import Link
from hive_agent.turns.record import Record
from hive_agent.waits import Waits, on_signals


def make(settings: HarnessSettings, waits: Waits, live: Live, login: Login) -> Harness:
    """A harness for these settings. Raises AgentError when its record or its runner cannot be had."""
    link, record = Link(settings.socket, waits), Record(settings.state, live.poke)
    return Harness(settings, link, record, runners.make(settings), waits, live, login.settle)


def serve_page(settings: HarnessSettings, waits: Waits, live: Live, harness: Harness, login: Login) -> None:
    """Begin to serve the agent's page, where hive has given it a port and a key."""
    if settings.port is not None and settings.page_token:
        # The server's modules take a while to load: not where there is nothing to serve.
        from hive_agent.page import serving

        serving.beside(settings, waits, live, Controls(settings, waits, live, harness.cancel, harness.nudge, login))


def main() -> int:
    """Run turns until SIGTERM or SIGINT; SIGUSR1 cancels the turn in progress. Returns the exit code."""
    try:
        shield.close_to_others()
        key = shield.take_page_key(os.environ)
        settings, waits, live = from_environment(os.environ, key), Waits(), Live()
        login = Login(settings, live)
        harness = make(settings, waits, live, login)
        on_signals({signal.SIGTERM: harness.stop, signal.SIGINT: harness.stop, signal.SIGUSR1: harness.cancel})
        serve_page(settings, waits, live, harness, login)
        harness.run()
    except (AgentError, sqlite3.Error) as error:
        sys.stderr.write(f"hive agent: {error}\n")
        return 1
    return 0
