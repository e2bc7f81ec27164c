"""What can be done on the page, and the page's look at the gate: each goes through the agent's own socket."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from hive_agent.errors import AgentError, GateRefused, Unreachable
from hive_agent.live import Live
from hive_agent.page.login import Login
from hive_agent.settings import HarnessSettings
from hive_agent.turns.link import Link
from hive_agent.waits import Waits

# What arrives in the inbox is told by nobody, so it is looked at this often while somebody watches.
INBOX_SECONDS = 2.0
_PATIENCE = 5.0
_INBOX = 30
FROM_PAGE = "(written on your page)\n\n"


class Controls:
    """The hands of the page. cancel, nudge: end the turn in progress. login: the agent's logins. For any thread."""

    def __init__(
        self,
        settings: HarnessSettings,
        waits: Waits,
        live: Live,
        cancel: Callable[[], bool],
        nudge: Callable[[], bool],
        login: Login,
    ) -> None:
        self._settings = settings
        self._waits = waits
        self._live = live
        self._cancel, self._nudge = cancel, nudge
        self.login = login
        self._looking = threading.Lock()
        self._looked = 0.0

    def send(self, body: str) -> None:
        """Leave the agent a message. Its sender is the agent itself: as anybody else its socket cannot send."""
        self._call("send", to=self._settings.label, body=FROM_PAGE + body)
        self._look(0.0)

    def choose_model(self, model: str) -> None:
        """Choose the model of the next turn; `default` goes back to what the configuration says."""
        self._call("set_model", model=model)
        self._look(0.0)

    def cancel(self) -> None:
        """End the turn in progress. Raises AgentError when there is none."""
        if not self._cancel():
            raise AgentError("No turn is in progress.")

    def nudge(self) -> None:
        """End the turn in progress, and take its message again. Raises AgentError when there is none."""
        if not self._nudge():
            raise AgentError("No turn is in progress.")

    def look(self) -> None:
        """See what the gate knows that nobody tells: inbox, model and pause; at most every two seconds."""
        self._look(INBOX_SECONDS)

    def _look(self, seconds: float) -> None:
        with self._looking:
            if time.monotonic() - self._looked < seconds:
                return
            try:
                found = self._call("turn_settings")
                inbox = self._call("recent", limit=_INBOX)["messages"]
            except (GateRefused, Unreachable) as error:
                self._live.update(gate=error.message)
            else:
                model = found.get("model") or self._settings.configuration.model
                self._live.update(gate=None, next_model=model, paused=bool(found.get("paused")), inbox=inbox)
            self._looked = time.monotonic()

    def _call(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """Ask the gate over a connection of this call's own: those of the harness are for one thread."""
        link = Link(self._settings.socket, self._waits)
        try:
            return link.call(verb, patience=_PATIENCE, **arguments)
        finally:
            link.close()


def text_of(request: dict[str, Any], name: str, most: int) -> str:
    """A text that a request must hold. Raises AgentError."""
    value = request.get(name)
    if not isinstance(value, str) or not value.strip():
        raise AgentError(f"The request lacks `{name}`.")
    if len(value) > most:
        raise AgentError(f"`{name}` is longer than {most} characters.")
    return value.strip()
