"""The runner `claude`: one process of the CLI kept for many turns, which costs a twentieth of a process per turn."""

from __future__ import annotations

import json
import signal
from collections import deque
from collections.abc import Mapping

from hive_agent.runners.base import End, Outcome, Turn, TurnEvent
from hive_agent.runners.child import Child, find_cli, how_it_ended
from hive_agent.runners.claude_events import ClaudeTurn, events
from hive_agent.runners.json_lines import dump, parse
from hive_agent.runners.process import CANCEL_SECONDS, ProcessRunner, bridge
from hive_agent.settings import HarnessSettings

# Given to the CLI unless the configuration says otherwise: it talks to its service and to nothing else, does not
# replace itself, and gives up soon enough for the harness to say what is wrong.
_DEFAULTS = {
    "DISABLE_AUTOUPDATER": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "CLAUDE_CODE_MAX_RETRIES": "4",
}
# The container is the boundary, so what works inside it is allowed there; whatever else would ask is denied.
TOOLS = ("Bash", "Edit", "Write", "NotebookEdit", "WebFetch", "WebSearch")
INTERRUPT = {"type": "control_request", "request_id": "cancel", "request": {"subtype": "interrupt"}}


class ClaudeRunner(ProcessRunner):
    """`claude -p` with its stream of JSON both ways.

    kept: whether one process serves many turns; it is started anew (`--continue`) when the model changes or it
    ended. Where it cannot even begin a turn that way, a process per turn is used from then on.
    """

    needs_login = True

    def __init__(self, settings: HarnessSettings, *, kept: bool = True) -> None:
        super().__init__(settings, {**_DEFAULTS, **settings.environment})
        self._program = "claude"
        self._model: str | None = None
        self.kept = kept

    def start(self) -> None:
        self._program = find_cli("claude", self._environment)

    def turn(self, prompt: str, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model, "kept": self.kept})
        reading = ClaudeTurn()
        outcome = yield from self._exchange(prompt, model, reading)
        if self.kept and not reading.spoke and reading.code > 0 and not reading.cancelling:
            yield TurnEvent("note", {"text": f"{outcome.detail}; from now on each turn has a process of its own"})
            self.kept = False
            outcome = yield from self._exchange(prompt, model, ClaudeTurn())
        return outcome

    def compact(self, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model, "compact": True})
        reading = ClaudeTurn()
        outcome = yield from self._exchange("/compact", model, reading)
        # A compaction that failed ends with `is_error` false.
        if outcome.end is End.DONE and reading.compacted != "success":
            return Outcome(End.FAILED, outcome.detail or "the conversation could not be compacted")
        return outcome

    def _exchange(self, prompt: str, model: str | None, reading: ClaudeTurn) -> Turn:
        """Give the process a prompt and read on to its result."""
        # Not before a turn: most agents wait, and it loads a tenth of all that a harness does.
        import uuid

        child = self._ready(model)
        mark = str(uuid.uuid4())
        if self.kept:
            child.write(dump({"type": "user", "uuid": mark, "message": {"role": "user", "content": prompt}}))
        else:
            child.write(prompt.encode("utf-8", "replace"), last=True)
        written: deque[str] = deque(maxlen=20)
        for name, data in child.lines():
            if name in ("poke", "late"):
                self._interrupt(child, reading, late=name == "late")
            elif (line := parse(data) if name == "stdout" else None) is None:
                written.append(data.decode("utf-8", "replace"))
                yield TurnEvent("note", {"text": written[-1]})
            else:
                reading.note(line, mark)
                yield from events(line)
                if reading.ends(line):
                    outcome = reading.outcome(line)
                    self._after(child, reading, outcome)
                    return outcome
        reading.code = code = child.end()
        self._child = None
        if reading.cancelling:
            return Outcome(End.CANCELLED, "cancelled")
        return Outcome(End.FAILED, "\n".join([how_it_ended("claude", code), *written]).strip())

    def _ready(self, model: str | None) -> Child:
        """The process to use: the kept one, or a new one when there is none, it ended, or the model is another."""
        if self._child is not None and (self._model != model or not self._child.alive):
            self.close()
        if self._child is None:
            self._model = model
            return self._spawn(self._argv(model))
        return self._child

    def _interrupt(self, child: Child, reading: ClaudeTurn, *, late: bool) -> None:
        """Ask the process to end its turn; kill it when it did not in time, or cannot be asked."""
        if not self._poke.raised:
            return
        if late:
            child.signal(signal.SIGKILL)
        elif not reading.cancelling:
            reading.cancelling = True
            child.remind(CANCEL_SECONDS)
            if self.kept:
                child.write(dump(INTERRUPT))
            else:
                child.signal(signal.SIGTERM)

    def _after(self, child: Child, reading: ClaudeTurn, outcome: Outcome) -> None:
        """Keep the process for the next turn when that is safe."""
        child.remind(None)
        # Without the gate's tools it would be mute, with our prompt still in its queue it would begin it later, and a
        # login that comes is surely seen by a new process.
        unfit = reading.unconnected or (reading.cancelling and not reading.ours) or outcome.end is End.LOGGED_OUT
        if not self.kept:
            child.finish()
            self._child = None
        elif unfit:
            self.close()

    def _argv(self, model: str | None) -> list[str]:
        own = self._settings.configuration.mcp_servers
        argv = [self._program, "-p", "--output-format", "stream-json", "--verbose", "--continue"]
        argv += [
            "--append-system-prompt",
            self._system,
            "--mcp-config",
            json.dumps(self._servers()),
            "--strict-mcp-config",
        ]
        argv += ["--allowedTools", ",".join([*TOOLS, *(f"mcp__{name}__*" for name in ("hive", *own))])]
        if model:
            argv.append(f"--model={model}")
        if self.kept:
            # The echo of our prompt says which result is ours: the process also takes turns of its own, when
            # something it left running ends.
            argv += ["--input-format", "stream-json", "--replay-user-messages"]
        return argv

    def _servers(self) -> dict[str, Mapping[str, Mapping[str, object]]]:
        hive = {"type": "stdio", **bridge(self._settings)}
        return {"mcpServers": {**self._settings.configuration.mcp_servers, "hive": hive}}
