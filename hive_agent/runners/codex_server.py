"""One run of codex's app server: requests on its standard input, answers and notifications on its standard output."""

from __future__ import annotations

import signal
from collections import deque
from collections.abc import Callable, Generator

from hive_agent.errors import AgentError
from hive_agent.runners.base import TurnEvent
from hive_agent.runners.child import GRACE_SECONDS, Child, how_it_ended
from hive_agent.runners.codex_events import CodexTurn, events
from hive_agent.runners.json_lines import Json, dump, parse
from hive_agent.runners.process import CANCEL_SECONDS
from hive_agent.waits import Poke

ServerAnswer = Generator[TurnEvent, None, Json]
_UNKNOWN_METHOD = -32601  # https://www.jsonrpc.org/specification#error_object


class ServerEnded(AgentError):
    """The server ended before it had said what was waited for."""


class CallRefused(AgentError):
    """The server answered a request with an error."""


class Server:
    """The server and what it said. poke: raised by whoever wants the turn to end."""

    def __init__(self, child: Child, poke: Poke) -> None:
        self._child = child
        self._poke = poke
        self._requests = 0
        self._thread: str | None = None
        self._written: deque[str] = deque(maxlen=20)
        self.reading = CodexTurn()

    def greet(self) -> ServerAnswer:
        """What comes first on every connection."""
        greeting = yield from self.call("initialize", {"clientInfo": {"name": "hive", "title": "hive", "version": "1"}})
        self._child.write(dump({"method": "initialized"}))
        return greeting

    def call(self, method: str, params: Json) -> ServerAnswer:
        """Make a request and return its result. Raises CallRefused, ServerEnded."""
        number = self._request(method, params)
        answer = yield from self._until(lambda message: message.get("id") == number and "method" not in message)
        if "error" in answer:
            raise CallRefused(str((answer["error"] or {}).get("message") or f"{method} was refused"))
        result = answer.get("result")
        return result if isinstance(result, dict) else {}

    def follow(self, thread: str) -> None:
        """From now on only what is told of this conversation counts; the model may have begun others."""
        self._thread = thread

    def turn_end(self) -> ServerAnswer:
        """Wait for the end of the turn. Raises ServerEnded."""
        return (yield from self._until(lambda message: message.get("method") == "turn/completed"))

    def leave(self) -> None:
        """Let the server end in order: it may still be writing the conversation down."""
        self._child.write(b"", last=True)
        self._child.remind(GRACE_SECONDS)
        for name, _ in self._child.lines():
            if name == "late":
                return

    def _until(self, wanted: Callable[[Json], bool]) -> ServerAnswer:
        for name, data in self._child.lines():
            if name in ("poke", "late"):
                self._interrupt(late=name == "late")
            elif (message := parse(data) if name == "stdout" else None) is None:
                self._written.append(data.decode("utf-8", "replace"))
                yield TurnEvent("note", {"text": self._written[-1]})
            elif "method" in message and "id" in message:
                # A question for a human: nobody is there to answer it, and silence would hold the turn up for ever.
                error = {"code": _UNKNOWN_METHOD, "message": "nobody is there to be asked"}
                self._child.write(dump({"id": message["id"], "error": error}))
            elif self._ours(message):
                self.reading.note(message)
                yield from events(message)
                if wanted(message):
                    return message
        raise ServerEnded("\n".join([how_it_ended("codex", self._child.end()), *self._written]))

    def _ours(self, message: Json) -> bool:
        params = message.get("params")
        thread = params.get("threadId") if isinstance(params, dict) else None
        return thread is None or self._thread is None or thread == self._thread

    def _interrupt(self, *, late: bool) -> None:
        """Ask for the turn's end; kill the server when that did not come in time, or there is no turn yet."""
        if not self._poke.raised:
            return
        if late:
            self._child.signal(signal.SIGKILL)
        elif not self.reading.cancelling:
            self.reading.cancelling = True
            self._child.remind(CANCEL_SECONDS)
            if self.reading.turn is None:
                self._child.signal(signal.SIGTERM)
            else:
                self._request("turn/interrupt", {"threadId": self._thread, "turnId": self.reading.turn})

    def _request(self, method: str, params: Json) -> int:
        self._requests += 1
        self._child.write(dump({"id": self._requests, "method": method, "params": params}))
        return self._requests
