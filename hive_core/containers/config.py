"""The schema of `agent.toml`, and its check: every refusal names file, line and key in a sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from hive_agent.bounded_toml import MOST_BYTES, MOST_PARTS, overlong_key
from hive_agent.clis import CLIS
from hive_core.containers.toml_lines import Path, key_lines
from hive_core.errors import BuildFailed

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
    """A checked `agent.toml`. settle_seconds: how long what was just switched to has to live to count as deployed."""

    runner: str = "command"
    command: tuple[str, ...] = ()
    model: str | None = None
    restart: str = "never"
    allowed_recipients: tuple[str, ...] = ("*",)
    environment: Mapping[str, str] = field(default_factory=dict)
    limits: Limits = Limits()
    mcp_servers: Mapping[str, McpServer] = field(default_factory=dict)
    settle_seconds: float = 2.0


def parse(text: str, file: str = "agent.toml") -> AgentConfig:
    """Check the text of an `agent.toml`, at most 64 KiB of it.

    Raises BuildFailed for the first thing that is wrong: "agent.toml, line 7: limits.memory is "lots"; ...".
    """
    # With which some editors begin every file.
    text = text.removeprefix("\ufeff")
    if len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
        raise BuildFailed(f"{file} is larger than {MOST_BYTES // 1024} KiB.")
    if (line := overlong_key(text)) is not None:
        raise BuildFailed(f"{file}, line {line}: this key has more than {MOST_PARTS} parts; none of hive's has.")
    checker = _Checker(file, key_lines(text))
    top = checker.table(_load(text, file), (), _TOP)
    config = AgentConfig(**top)
    if config.runner in _OWN_PROGRAM and not config.command:
        advice = f'the runner "{config.runner}" needs it, such as command = ["sleep", "60"]'
        checker.refuse(("command",), "is missing", advice)
    return config


def _load(text: str, file: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(error), re.DOTALL)
        reason, line = (found[1], found[2] or text.count("\n") + 1) if found else (str(error), 1)
        raise BuildFailed(f"{file}, line {line}: this is not TOML: {reason}.") from error
    except (RecursionError, ValueError) as error:
        raise BuildFailed(f"{file} cannot be read: {type(error).__name__}, {str(error)[:200]}.") from error


Check = Callable[["_Checker", Any, Path], Any]


class _Checker:
    """Checks values and knows on which line each key was written."""

    def __init__(self, file: str, lines: Mapping[Path, int]) -> None:
        self._file = file
        self._lines = lines

    def refuse(self, path: Path, what: str, advice: str) -> NoReturn:
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self._lines), None)
        line = self._lines[known] if known else 1
        raise BuildFailed(f"{self._file}, line {line}: {'.'.join(path)} {what}; {advice}.")

    def wrong(self, value: object, path: Path, advice: str) -> NoReturn:
        import json

        try:
            shown = json.dumps(value, default=str, ensure_ascii=True)
        except ValueError:
            shown = "a number of thousands of digits"  # More than Python writes out (int_max_str_digits).
        self.refuse(path, f"is {shown if len(shown) <= 80 else shown[:76] + '...'}", advice)

    def table(self, value: Any, path: Path, checks: Mapping[str, Check]) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.wrong(value, path, f"give a table of {', '.join(checks)}")
        for key in value:
            if key not in checks:
                self.refuse((*path, key), "is not a key hive knows", _nearest(key, checks))
        return {key: checks[key](self, item, (*path, key)) for key, item in value.items()}

    def named(self, value: Any, path: Path, name: re.Pattern[str], check: Check, advice: str) -> dict[str, Any]:
        if not isinstance(value, dict):
            self.wrong(value, path, "give a table")
        for key in value:
            if not name.fullmatch(key):
                self.refuse((*path, key), "has a name that cannot be", advice)
        return {key: check(self, item, (*path, key)) for key, item in value.items()}


def _nearest(key: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, list(known), n=1)
    return f"perhaps it is {near[0]}" if near else f"it knows {', '.join(known)}"


def _text(checker: _Checker, value: Any, path: Path) -> str:
    if not isinstance(value, str) or not value or "\0" in value:
        checker.wrong(value, path, "give a text that is not empty and holds no NUL")
    return value


def _value(checker: _Checker, value: Any, path: Path) -> str:
    if not isinstance(value, str) or "\0" in value:
        checker.wrong(value, path, "give a text without NUL, in quotes")
    return value


def _texts(checker: _Checker, value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list):
        checker.wrong(value, path, "give a list of texts")
    return tuple(_value(checker, item, path) for item in value)


def _command(checker: _Checker, value: Any, path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        checker.wrong(value, path, 'give the program and its arguments as a list, such as ["sleep", "60"]')
    return tuple(_text(checker, item, path) for item in value)


def _one_of(choices: tuple[str, ...]) -> Check:
    def check(checker: _Checker, value: Any, path: Path) -> str:
        if value not in choices:
            checker.wrong(value, path, f"give one of {', '.join(choices)}")
        return str(value)

    return check


def _recipients(checker: _Checker, value: Any, path: Path) -> tuple[str, ...]:
    from hive_core.arguments import agent_name
    from hive_core.errors import Invalid

    for item in _texts(checker, value, path):
        try:
            item in ("*", "operator") or agent_name(item)
        except Invalid:
            checker.wrong(item, path, 'give names of agents, operator, or "*" for everybody')
    return tuple(value)


def _environment(checker: _Checker, value: Any, path: Path) -> dict[str, str]:
    advice = "a name is letters, digits and _, and does not begin with a digit"
    found: dict[str, str] = checker.named(value, path, _VARIABLE, _value, advice)
    for name in found:
        if name.startswith("HIVE_"):
            checker.refuse((*path, name), "is hive's own", "choose a name that does not begin with HIVE_")
    return found


def _memory(checker: _Checker, value: Any, path: Path) -> float:
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


def _processes(checker: _Checker, value: Any, path: Path) -> float:
    if value == NO_LIMIT:
        return math.inf
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= 32768:
        checker.wrong(value, path, "give a whole number from 1 to 32768")
    return value


def _cpu(checker: _Checker, value: Any, path: Path) -> float:
    if value == NO_LIMIT:
        return math.inf
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0.01 <= value <= 1024:
        checker.wrong(value, path, "give a number of cores from 0.01 to 1024, such as 1.5")
    return float(value)


def _settle_seconds(checker: _Checker, value: Any, path: Path) -> float:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= MOST_SETTLING:
        checker.wrong(value, path, f"give a number of seconds from 0 to {MOST_SETTLING}")
    return float(value)


def _limits(checker: _Checker, value: Any, path: Path) -> Limits:
    return Limits(**checker.table(value, path, {"memory": _memory, "processes": _processes, "cpu": _cpu}))


def _server(checker: _Checker, value: Any, path: Path) -> McpServer:
    fields = checker.table(value, path, {"command": _text, "args": _texts, "environment": _environment})
    if "command" not in fields:
        checker.refuse((*path, "command"), "is missing", "name the program that serves")
    return McpServer(**fields)


def _servers(checker: _Checker, value: Any, path: Path) -> dict[str, McpServer]:
    advice = "a name is 1 to 64 of letters, digits, _ and -"
    found = checker.named(value, path, _SERVER, _server, advice)
    if "hive" in found:
        checker.refuse((*path, "hive"), "is hive's own", "choose another name")
    return found


_TOP: dict[str, Check] = {
    "runner": _one_of(RUNNERS),
    "command": _command,
    "model": _text,
    "restart": _one_of(RESTARTS),
    "allowed_recipients": _recipients,
    "environment": _environment,
    "limits": _limits,
    "settle_seconds": _settle_seconds,
    "mcp_servers": _servers,
}
