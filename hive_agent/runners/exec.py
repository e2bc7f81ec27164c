"""The runner `exec`: any program. The prompt on its standard input, text on its standard output, its exit code.

0 is done, 75 (EX_TEMPFAIL of sysexits(3)) is "not now, try again", everything else a failure.
"""

from __future__ import annotations

import os
import signal
from collections import deque

from hive_agent.errors import AgentError
from hive_agent.runners.base import End, Outcome, Turn, TurnEvent
from hive_agent.runners.child import find, how_it_ended
from hive_agent.runners.process import CANCEL_SECONDS, ProcessRunner
from hive_agent.settings import HarnessSettings


class ExecRunner(ProcessRunner):
    """`command` of agent.toml, once per turn.

    It is given `$HIVE_MODEL` and `$HIVE_SYSTEM_PROMPT`, and `$HIVE_SOCKET` to send answers by. What it remembers
    between turns is its own affair.
    """

    needs_login = False

    def __init__(self, settings: HarnessSettings) -> None:
        super().__init__(settings, {**settings.environment, "HIVE_SOCKET": str(settings.socket)})
        self._argv = list(settings.configuration.command)

    def start(self) -> None:
        if not self._argv:
            raise AgentError(
                "The runner `exec` has no program to run.", 'Give agent.toml `command = ["program", ...]`.'
            )
        self._argv[0] = find(self._argv[0], self._settings.environment)

    def turn(self, prompt: str, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model})
        child = self._spawn(self._argv, HIVE_MODEL=model or "", HIVE_SYSTEM_PROMPT=self._system)
        child.write(prompt.encode("utf-8", "replace"), last=True)
        written: deque[str] = deque(maxlen=20)
        for name, data in child.lines():
            if name in ("stdout", "stderr"):
                written.append(data.decode("utf-8", "replace"))
                yield TurnEvent("text" if name == "stdout" else "note", {"text": written[-1]})
            elif self._poke.raised:
                child.signal(signal.SIGKILL if name == "late" else signal.SIGTERM)
                child.remind(CANCEL_SECONDS)
        code = child.finish()
        self._child = None
        return self._outcome(code, "\n".join(written))

    def compact(self, model: str | None) -> Turn:
        yield TurnEvent("started", {"model": model, "compact": True})
        return Outcome(End.FAILED, "this program keeps its own memory; hive cannot compact it")

    def _outcome(self, code: int, text: str) -> Outcome:
        if self._poke.raised:
            return Outcome(End.CANCELLED, "cancelled")
        if code == 0:
            return Outcome(End.DONE, text)
        end = End.UNAVAILABLE if code == os.EX_TEMPFAIL else End.FAILED
        return Outcome(end, f"{how_it_ended(self._argv[0], code)}\n{text}".strip())
