"""The agent's own page: a small HTTP server in the harness's process, on a port of the machine's loopback.

Nothing about the agent is said and nothing done without the key that hive gave this start of the container (shield.py)
and hands to the operator alone (`hive open`): see door.py. Only the empty page, its style and its script are there for
anyone, and the proof that whoever serves them has the key.
"""

from __future__ import annotations

from collections.abc import Callable

from hive_agent import LOOPBACK
from hive_agent.errors import Stopped
from hive_agent.live import Live
from hive_agent.page.admission import AdmittingServer
from hive_agent.page.controls import Controls
from hive_agent.page.door import Door
from hive_agent.settings import HarnessSettings

# Connections at once: of those who have shown the key, and of those who have not (the oldest of these has to go).
MOST_KNOWN = MOST_STRANGERS = 32


class Page(AdmittingServer):
    """The page's server. handler: what is called with each connection, to answer what comes by it."""

    request_queue_size = 64
    most_strangers, most_known = MOST_STRANGERS, MOST_KNOWN
    called = "hive agent: page"
    no_news = (*AdmittingServer.no_news, Stopped)

    def __init__(
        self,
        port: int,
        handler: Callable[..., object],
        settings: HarnessSettings,
        live: Live,
        controls: Controls,
        address: str = LOOPBACK,
    ) -> None:
        self.settings, self.live, self.controls = settings, live, controls
        keys = {settings.page_token: "all"} if settings.page_token else {}
        self.door = Door(lambda: keys, port, (f"{name}:{port}" for name in (LOOPBACK, "localhost")), "hive open")
        super().__init__((address, port), handler)
