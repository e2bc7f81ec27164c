"""What the page shows besides the record, in memory: the state the harness says, and what the gate knows."""

from __future__ import annotations

import threading
import time
from typing import Any


class Live:
    """Fields that change, and a number that grows whenever there is something new to show. For any thread.

    Never for a signal handler: it would wait for a lock that the interrupted code holds.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._version = 0
        self._fields: dict[str, Any] = {"state": "starting", "since": time.time()}
        self._fields |= {"inbox": [], "paused": False, "login": None}

    def update(self, **fields: Any) -> None:
        """Set fields; those who wait are woken when one of them is another than before."""
        with self._changed:
            if any(name not in self._fields or self._fields[name] != value for name, value in fields.items()):
                self._fields |= fields
                self._bump()

    def say(self, state: str, *, text: str | None = None, until: int | None = None, model: str | None = None) -> None:
        """Take in what the harness says of itself. model: None keeps the last one that was named."""
        with self._changed:
            since = self._fields["since"] if self._fields["state"] == state else time.time()
        named = {} if model is None else {"model": model}
        self.update(state=state, text=text, until=until, since=since, **named)

    def poke(self) -> None:
        """Wake those who wait: the record has something new."""
        with self._changed:
            self._bump()

    def _bump(self) -> None:
        self._version += 1
        self._changed.notify_all()

    def wait(self, version: int, seconds: float) -> int:
        """Wait until there is something newer than `version`, at most so long; the number as it is then."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != version, seconds)
            return self._version

    def snapshot(self) -> dict[str, Any]:
        with self._changed:
            return dict(self._fields)
