"""What the container's environment and the agent's configuration say, read once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hive_agent import credentials
from hive_agent.clis import CLIS, Credentials
from hive_agent.errors import AgentError


@dataclass(frozen=True, slots=True)
class Configuration:
    """The part of `agent.toml` that the harness needs. hive checked the file before it deployed it.

    runner: `claude`, `codex` or `exec`. model: None for the runner's own default. command: what `exec` runs.
    mcp_servers: name -> what the CLI's MCP configuration holds for it (command, args, env; or type, url).
    """

    runner: str = "claude"
    model: str | None = None
    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    mcp_servers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HarnessSettings:
    """Where things are in this container.

    socket: `$HIVE_SOCKET`, the gate. state: `$HIVE_STATE`, the agent's own folder, also the runner's current
    folder. logins: runner -> its login folder, for those that need one. label: `$HIVE_LABEL`, the agent's name.
    pronouns: `$HIVE_OPERATOR_PRONOUNS`. retry: `$HIVE_RETRY_SECONDS`, the first pause after a failed turn, in seconds.
    environment: what the runner's programs are given, the configuration's own included.
    port, page_token: `$HIVE_PORT` and the key of the agent's page (see shield.py); without both there is none.
    """

    socket: Path
    state: Path
    logins: Mapping[str, Path]
    label: str
    pronouns: str
    retry: float
    environment: Mapping[str, str]
    configuration: Configuration
    port: int | None = None
    page_token: str | None = None

    @property
    def login(self) -> tuple[Credentials, Path]:
        """How the runner is logged in, and its login folder. Raises KeyError for a runner that needs no login."""
        name = self.configuration.runner
        return CLIS[name].credentials, self.logins[name]

    def means(self) -> str | None:
        """What the runner's CLI is let in by now, see `credentials.means`; looked up anew each time."""
        kind, folder = self.login
        return credentials.means(kind, credentials.look(kind, folder), credentials.given(self.environment))

    def why_no_login(self) -> str | None:
        """Why a login would be of no use to it, see `credentials.why_no_login`."""
        kind, folder = self.login
        return credentials.why_no_login(kind, credentials.look(kind, folder), credentials.given(self.environment))


def from_environment(environ: Mapping[str, str], page_token: str | None = None) -> HarnessSettings:
    """Read the settings and the configuration at `$HIVE_CONFIG`. Raises AgentError when one cannot be used.

    page_token: the key of the agent's page, which is in `environ` no more.
    """
    configuration = read_configuration(Path(environ.get("HIVE_CONFIG") or "/config/agent.toml"))
    places = {name: cli.credentials for name, cli in CLIS.items()}
    logins = {name: Path(environ.get(place.variable) or f"/{place.folder}") for name, place in places.items()}
    try:
        retry = float(environ.get("HIVE_RETRY_SECONDS") or 5)
    except ValueError as error:
        raise AgentError("HIVE_RETRY_SECONDS is not a number of seconds.") from error
    port = environ.get("HIVE_PORT") or ""
    if port and not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise AgentError("HIVE_PORT is not a port's number.")
    own = {places[name].variable: str(folder) for name, folder in logins.items()}
    return HarnessSettings(
        socket=Path(environ.get("HIVE_SOCKET") or "/run/hive/agent.sock"),
        state=Path(environ.get("HIVE_STATE") or "/state"),
        logins=logins,
        label=environ.get("HIVE_LABEL") or "agent",
        pronouns=environ.get("HIVE_OPERATOR_PRONOUNS") or "she/her",
        retry=retry,
        environment={**environ, **configuration.environment, **own},
        configuration=configuration,
        port=int(port) if port else None,
        page_token=page_token,
    )


def read_configuration(path: Path) -> Configuration:
    """Read `agent.toml`; where there is none the defaults count. Raises AgentError naming file and key."""
    import tomllib

    try:
        # With or without the byte order mark that some editors begin a file with.
        table = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return Configuration()
    except (OSError, ValueError) as error:
        raise AgentError(f"{path} cannot be read: {error}.", "Correct it and request the commit again.") from error
    kinds = {"runner": str, "model": str, "command": list, "environment": dict, "mcp_servers": dict}
    for key, kind in kinds.items():
        if key in table and not isinstance(table[key], kind):
            raise AgentError(f"{path}: `{key}` has the wrong type.", "See the reference of agent.toml.")
    return Configuration(
        runner=table.get("runner", "claude"),
        model=table.get("model") or None,
        command=tuple(str(word) for word in table.get("command", [])),
        environment={str(name): str(value) for name, value in table.get("environment", {}).items()},
        mcp_servers={name: _server(server) for name, server in table.get("mcp_servers", {}).items()},
    )


def _server(table: Mapping[str, Any]) -> dict[str, Any]:
    """A server as the CLI's MCP configuration spells it: `env` for what agent.toml calls `environment`."""
    return {("env" if key == "environment" else key): value for key, value in table.items()}
