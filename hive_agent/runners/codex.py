"""The runner `codex`: a process of the CLI's app server per turn, and one conversation that every turn goes on with.

Not `codex exec`: that has no way to compact, names no moment when a limit ends, and tells its errors in sentences only.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace

from hive_agent import atomic
from hive_agent.clis import CLIS
from hive_agent.errors import AgentError
from hive_agent.runners.base import End, Outcome, Turn, TurnEvent
from hive_agent.runners.child import find_cli
from hive_agent.runners.codex_server import CallRefused, Server, ServerEnded
from hive_agent.runners.json_lines import Json, parse
from hive_agent.runners.process import ProcessRunner, bridge
from hive_agent.settings import HarnessSettings

# It talks to its service and to nothing else, gives up soon enough for the harness to say what is wrong, and takes no
# turns by itself. https://developers.openai.com/codex/config-reference
SWITCHES = (
    "analytics.enabled=false",
    "features.apps=false",
    "features.goals=false",
    "features.plugins=false",
    "features.unbounded_connection_retries=false",
)
# Its diagnostics go to a database of its own in any case.
_DEFAULTS = {"RUST_LOG": "off", "NO_COLOR": "1"}
# The gate's tools wait 180 s at most (`recv`); their server waits 20 s for a gate that is being restarted.
TOOL_SECONDS, STARTUP_SECONDS = 300, 30
# What it says of a conversation that is not there (any more), or could never be.
_GONE = ("no rollout found", "invalid session id")


@dataclass(frozen=True, slots=True)
class Kept:
    """What is remembered between turns. thread: the conversation's id. model: the one it was last told to use.

    told: a digest of the instructions it was given.
    """

    thread: str | None = None
    model: str | None = None
    told: str | None = None


class CodexRunner(ProcessRunner):
    """`codex app-server` on its standard input and output, once per turn."""

    needs_login = True

    def __init__(self, settings: HarnessSettings) -> None:
        super().__init__(settings, {**_DEFAULTS, **settings.environment})
        self._program = "codex"
        self._file = settings.state / "codex.json"
        self._told = hashlib.sha256(self._system.encode()).hexdigest()

    def start(self) -> None:
        self._program = find_cli("codex", self._environment)

    def turn(self, prompt: str, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model})
        return (yield from self._session(model, prompt))

    def compact(self, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model, "compact": True})
        if self._kept().thread is None:
            return Outcome(End.FAILED, "there is no conversation to make shorter")
        return (yield from self._session(model, None))

    def _session(self, model: str | None, prompt: str | None) -> Turn:
        """Start the server, go on with the conversation, and end the server. prompt: None compacts."""
        server = Server(self._spawn(self._argv()), self._poke)
        try:
            outcome = yield from self._work(server, model, prompt)
            server.leave()
        except (CallRefused, ServerEnded) as error:
            cancelled = server.reading.cancelling
            outcome = Outcome(End.CANCELLED, "cancelled") if cancelled else Outcome(End.FAILED, error.message)
        self.close()
        return outcome

    def _work(self, server: Server, model: str | None, prompt: str | None) -> Turn:
        yield from server.greet()
        if key := self._key:
            yield from server.call("account/login/start", {"type": "apiKey", "apiKey": key})
        kept = yield from self._open(server, model)
        server.follow(str(kept.thread))
        if prompt is None:
            yield from server.call("thread/compact/start", {"threadId": kept.thread})
        else:
            text = prompt if kept.told == self._told else f"{_CHANGED}\n\n{self._system}\n\n{prompt}"
            given = [{"type": "text", "text": text}]
            yield from server.call("turn/start", {"threadId": kept.thread, "input": given})
            self._keep(replace(kept, told=self._told))
        outcome = server.reading.outcome((yield from server.turn_end()))
        if prompt is None and outcome.end is End.DONE and not server.reading.compacted:
            return Outcome(End.FAILED, "the conversation did not become shorter")
        return outcome

    def _open(self, server: Server, model: str | None) -> Generator[TurnEvent, None, Kept]:
        """Go on with the conversation that is kept; begin one where there is none."""
        kept = self._kept()
        if kept.thread is not None:
            # Without a model it goes on with the one before, which is not what no model means.
            chosen = model if model or not kept.model else (yield from self._default_model(server))
            try:
                wanted = {"threadId": kept.thread, "excludeTurns": True, **self._terms(chosen)}
                answer = yield from server.call("thread/resume", wanted)
            except CallRefused as error:
                if not any(words in error.message for words in _GONE):
                    raise
                yield TurnEvent("note", {"text": f"{error.message}; a new conversation begins"})
            else:
                yield TurnEvent("model", {"model": answer.get("model")})
                return self._keep(replace(kept, model=model))
        answer = yield from server.call("thread/start", self._terms(model))
        yield TurnEvent("model", {"model": answer.get("model")})
        thread = answer.get("thread") or {}
        return self._keep(Kept(str(thread.get("id")), model, self._told))

    def _default_model(self, server: Server) -> Generator[TurnEvent, None, str | None]:
        """The model that the CLI uses when it is told none, by its own word: in a conversation that is not kept."""
        terms = {"cwd": str(self._settings.state), "ephemeral": True}
        answer = yield from server.call("thread/start", terms)
        return answer.get("model")

    def _terms(self, model: str | None) -> Json:
        """How a conversation is held. The container is the boundary, so the CLI's own sandbox and questions are off."""
        return {
            "cwd": str(self._settings.state),
            "approvalPolicy": "never",
            "sandbox": "danger-full-access",
            "developerInstructions": self._system,
            "config": {"mcp_servers": self._servers()},
            **({"model": model} if model else {}),
        }

    def _servers(self) -> Json:
        own = self._settings.configuration
        # It gives its servers none of its own environment; what agent.toml sets is meant for them, too.
        servers = {
            name: {**server, "env": {**own.environment, **server.get("env", {})}}
            for name, server in own.mcp_servers.items()
        }
        # Without the gate's tools it would be mute: better no turn at all.
        patience = {"tool_timeout_sec": TOOL_SECONDS, "startup_timeout_sec": STARTUP_SECONDS}
        hive = {**bridge(self._settings), "required": True, **patience}
        return {**servers, "hive": hive}

    def _argv(self) -> list[str]:
        switches = list(SWITCHES)
        if self._key:
            # The key from agent.toml must not end up in a file, nor a login in a file go before it.
            switches.append('cli_auth_credentials_store="ephemeral"')
        if url := self._environment.get("OPENAI_BASE_URL"):
            # The service's own libraries take this variable; the CLI only this setting.
            switches.append(f"openai_base_url={json.dumps(url)}")
        return [self._program, "app-server", *(word for switch in switches for word in ("-c", switch))]

    @property
    def _key(self) -> str:
        """A key from the environment. The app server, unlike `codex exec`, does not look for it there."""
        return next(
            (key for name in CLIS["codex"].credentials.keys if (key := self._environment.get(name, "").strip())), ""
        )

    def _kept(self) -> Kept:
        """What is remembered. The file is the agent's, too: whatever else is in it, a new conversation begins."""
        try:
            found = parse(self._file.read_bytes()) or {}
        except OSError:
            return Kept()
        values = {name: found.get(name) for name in Kept.__slots__}
        return Kept(**{name: value for name, value in values.items() if isinstance(value, str)})

    def _keep(self, kept: Kept) -> Kept:
        try:
            atomic.write(self._file, json.dumps(asdict(kept)))
        except OSError as error:
            raise AgentError(f"{self._file} cannot be written: {error.strerror}.") from error
        return kept


_CHANGED = "Your instructions were changed. These stand in the place of those that this conversation began with:"
