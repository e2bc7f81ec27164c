"""The client of the agent's socket: one line of JSON asked, one answered; it outlives restarts of the gate."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from pathlib import Path
from typing import Any

from hive_agent.back_off import BackOff
from hive_agent.errors import GateRefused, Unreachable
from hive_agent.lines import LineBuffer
from hive_agent.mcp import reach
from hive_agent.waits import Waits

# What does the same when it is done twice. `recv` is not among them: a first answer that got lost took a
# message with it, which only `nack` brings back. Nor is `send`: twice sent is two messages.
REPEATABLE = frozenset({"ack", "nack", "set_status", "turn_settings", "recent"})
LONGEST_ANSWER = 16 * 1024 * 1024
# How long the gate may take beyond the wait that was asked for.
ANSWER_SECONDS = 30.0
# Seconds between the first two tries to reach the gate, and between further ones at the most.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Link:
    """A connection to the gate, made at the first call and again whenever it was lost. For one thread.

    waits: those that a call may have to make, which a stop ends.
    """

    def __init__(self, path: Path, waits: Waits) -> None:
        self._path = path
        self._waits = waits
        self._socket: socket.socket | None = None
        self._buffer = LineBuffer(LONGEST_ANSWER)
        self._lines: deque[bytes] = deque()

    def call(self, verb: str, *, patience: float | None = None, **arguments: Any) -> dict[str, Any]:
        """Ask for `verb` and return the answer's fields.

        patience: seconds to try for when the gate cannot be reached; None is for ever. A call that is safe to
        repeat is repeated when the connection ends before its answer.
        Raises GateRefused when the gate says no, Unreachable when patience ended or a call that is not safe to
        repeat may or may not have been done, Stopped in a wait.
        """
        deadline = None if patience is None else time.monotonic() + patience
        line = json.dumps({"cmd": verb, **arguments}).encode() + b"\n"
        tries = BackOff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while True:
            self._connect(deadline)
            try:
                answer = self._exchange(line, float(arguments.get("wait", 0)) + ANSWER_SECONDS)
            except Unreachable:
                pause = tries.failed()
                if verb not in REPEATABLE or (deadline is not None and time.monotonic() + pause > deadline):
                    raise
                self._waits.pause(pause)
                continue
            if answer.get("ok") is not True:
                raise GateRefused(f"{verb}: {answer.get('error', 'refused without a reason')}", answer.get("hint"))
            return answer

    def close(self) -> None:
        """End the connection; the next call makes a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._buffer.take_rest()
            self._lines.clear()

    def _connect(self, deadline: float | None) -> None:
        tries = BackOff(_FIRST_PAUSE, _LONGEST_PAUSE)
        while self._socket is None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
            try:
                reach(connection, str(self._path))
            except OSError as error:
                connection.close()
                pause = tries.failed()
                if deadline is not None and time.monotonic() + pause > deadline:
                    raise Unreachable(f"The gate cannot be reached at {self._path}: {error.strerror}.") from error
                self._waits.pause(pause)
            else:
                self._socket = connection

    def _exchange(self, line: bytes, seconds: float) -> dict[str, Any]:
        """Write a request and read its answer. Whatever goes wrong, a half-used connection is not used again."""
        assert self._socket is not None
        try:
            self._socket.settimeout(ANSWER_SECONDS)
            self._socket.sendall(line)
            answer = json.loads(self._read_line(time.monotonic() + seconds))
        except (OSError, ValueError) as error:
            self.close()
            raise Unreachable(f"The connection to the gate failed: {error}.") from error
        except BaseException:
            self.close()
            raise
        if not isinstance(answer, dict):
            self.close()
            raise Unreachable("The gate answered with something that is no JSON object.")
        return answer

    def _read_line(self, deadline: float) -> bytes:
        assert self._socket is not None
        while not self._lines:
            if not self._waits.readable(self._socket.fileno(), deadline - time.monotonic()):
                raise TimeoutError("it did not answer in time")
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionResetError("the gate hung up")
            self._lines.extend(self._buffer.feed(data))
        return self._lines.popleft()
