"""The schema of `agent.toml`, and its check: every refusal names file, line and key in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hive_agent.clis import CLIS
from hive_core import checked_toml
from hive_core.checked_toml import Check, Checker, one_of, text_of, value_of, whole
from hive_core.errors import BuildFailed
from hive_core.toml_lines import Path

# command: any program, left to itself. The others: the turn loop, with a CLI or any program for each turn.
RUNNERS = ("command", *CLIS, "exec")
_OWN_PROGRAM = ("command", "exec")
RESTARTS = ("never", "on-failure", "always")
NO_LIMIT = "none"
# Seconds: whoever deploys waits for them.
MOST_SETTLING = 60
LEAST_MEMORY = 4 * 1024**2
_SIZE = re.compile(r"([1-9][0-9]{0,14})([KMGT]?)", re.ASCII)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_SERVER = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Limits:
    """What an agent may use. memory: bytes. processes: threads count too. cpu: cores.

    Infinite: no limit, as was asked for. None: nothing was; see limits.py.
    """

    memory: float | None = None
    processes: float | None = None
    cpu: float | None = None


@dataclass(frozen=True, slots=True)
class McpServer:
    """A further MCP server that the agent's CLI starts."""

    command: str
    args: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """A checked `agent.toml`. settle_seconds: how long what was just switched to has to live to count as deployed.

    stuck_minutes: how long a turn may be without progress; None as the settings have it, 0 for ever.
    """

    runner: str = "command"
    command: tuple[str, ...] = ()
    model: str | None = None
    restart: str = "never"
    allowed_recipients: tuple[str, ...] = ("*",)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)
    settle_seconds: float = 2.0
    stuck_minutes: int | None = None


def parse(text: str, file: str = "agent.toml") -> AgentConfig:
    """Check the text of an `agent.toml`, at most 64 KiB of it.

    Raises BuildFailed for the first thing that is wrong: "agent.toml, line 7: limits.memory is "lots"; ...".
    """
    checker, table = checked_toml.load(text, file, BuildFailed)
    return check_table(checker, table, ())


def check_table(checker: Checker, table: object, path: Path) -> AgentConfig:
    """Check what an `agent.toml` holds, wherever it stands. Raises what the checker does."""
    config = AgentConfig(**checker.table(table, path, _TOP))
    if config.runner in _OWN_PROGRAM and not config.command:
        advice = f'the runner "{config.runner}" needs it, such as command = ["sleep", "60"]'
        checker.refuse((*path, "command"), "is missing", advice)
    return config


def _texts(checker: Checker, value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        checker.wrong(value, path, "give a list of texts")
    return tuple(value_of(checker, item, path) for item in value)


def _command(checker: Checker, value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        checker.wrong(value, path, 'give the program and its arguments as a list, such as ["sleep", "60"]')
    return tuple(text_of(checker, item, path) for item in value)


def _recipients(checker: Checker, value: Any, path: Path) -> tuple[str, ...]:
    from hive_core.arguments import agent_name
    from hive_core.errors import Invalid

    for item in _texts(checker, value, path):
        try:
            item in ("*", "operator") or agent_name(item)
        except Invalid:
            checker.wrong(item, path, 'give names of agents, operator, or "*" for everybody')
    return tuple(value)


def _environment(checker: Checker, value: Any, path: Path) -> dict[str, str]:
    advice = "a name is letters, digits and _, and does not begin with a digit"
    found: dict[str, str] = checker.named(value, path, _VARIABLE, value_of, advice)
    for name in found:
        if name.startswith("HIVE_"):
            checker.refuse((*path, name), "is hive's own", "choose a name that does not begin with HIVE_")
    return found


def _memory(checker: Checker, value: Any, path: Path) -> float:
    if value == NO_LIMIT:
        return math.inf
    size = value if isinstance(value, int) and not isinstance(value, bool) else None
    if isinstance(value, str) and (found := _SIZE.fullmatch(value)):
        size = int(found[1]) * _UNITS[found[2]]
    if size is None:
        checker.wrong(value, path, "give a size such as 512M")
    if not LEAST_MEMORY <= size <= 2**60:
        checker.wrong(value, path, "give a size from 4M to 1048576T")
    return size


def _processes(checker: Checker, value: Any, path: Path) -> float:
    if value == NO_LIMIT:
        return math.inf
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 32768:
        checker.wrong(value, path, "give a whole number from 1 to 32768")
    return value


def _cpu(checker: Checker, value: Any, path: Path) -> float:
    if value == NO_LIMIT:
        return math.inf
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.01 <= value <= 1024:
        checker.wrong(value, path, "give a number of cores from 0.01 to 1024, such as 1.5")
    return float(value)


def _settle_seconds(checker: Checker, value: Any, path: Path) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= MOST_SETTLING:
        checker.wrong(value, path, f"give a number of seconds from 0 to {MOST_SETTLING}")
    return float(value)


def _limits(checker: Checker, value: Any, path: Path) -> Limits:
    return Limits(**checker.table(value, path, {"memory": _memory, "processes": _processes, "cpu": _cpu}))


def _server(checker: Checker, value: Any, path: Path) -> McpServer:
    fields = checker.table(value, path, {"command": text_of, "args": _texts, "environment": _environment})
    if "command" not in fields:
        checker.refuse((*path, "command"), "is missing", "name the program that serves")
    return McpServer(**fields)


def _servers(checker: Checker, value: Any, path: Path) -> dict[str, McpServer]:
    advice = "a name is 1 to 64 of letters, digits, _ and -"
    found = checker.named(value, path, _SERVER, _server, advice)
    if "hive" in found:
        checker.refuse((*path, "hive"), "is hive's own", "choose another name")
    return found


_TOP: dict[str, Check] = {
    "runner": one_of(RUNNERS),
    "command": _command,
    "model": text_of,
    "restart": one_of(RESTARTS),
    "allowed_recipients": _recipients,
    "environment": _environment,
    "limits": _limits,
    "settle_seconds": _settle_seconds,
    "stuck_minutes": whole(0, 10080),
    "mcp_servers": _servers,
}
