"""The operator's settings: `$HIVE_HOME/hive.toml`, one place for every process of every kind.

Read when they are asked for, so that a long-lived process goes by what holds now, and a file that cannot be used stops
only what needs it. An environment variable goes before the file, for the process that has it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Hashable, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from hive_agent.clis import CLIS
from hive_core.containers.backends import BACKENDS, OFFERED
from hive_core.errors import HiveError, Invalid, Refused

FILE = "hive.toml"
SWITCH = ("on", "off")
NEW_AGENTS = "new_agents"
NOTIFY = "notify"
DEFAULT = "default"
# A host as the header Host has it: lower case, an address of IPv6 in brackets.
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:]+\])(?::[1-9][0-9]{0,4})?"


class Key(NamedTuple):
    """One setting.

    name: dotted, as it is shown. kind: what it takes, a name in `_checks`. variable: of the environment, goes before
    it; "" for none. about: what it decides, for docs/settings.md.
    """

    name: str
    kind: str
    default: Any
    variable: str
    about: str


KEYS = (
    Key(
        "pronouns",
        "text",
        "she/her",
        "HIVE_OPERATOR_PRONOUNS",
        "how an agent's prompt speaks of you, from its next start on",
    ),
    Key("backend", "backend", "local", "HIVE_BACKEND", "what drives the containers"),
    Key("flake", "text", None, "HIVE_FLAKE", "the url of the input `hive`; without one it is what hive runs from"),
    *(
        Key(f"clis.{name}", "file", None, cli.variable, f"the program of the runner `{name}`; else what the `PATH` has")
        for name, cli in CLIS.items()
    ),
    Key("ports.manager", "port", 8000, "", "the manager's page"),
    Key("ports.page", "port", 7000, "", "the status page"),
    Key("page.serve", "switch", "on", "HIVE_PAGE", "whether `hive up` serves the status page: on or off"),
    Key("page.host", "host", None, "", "the name of a proxy before the status page, from the page's next start on"),
    Key("page.origin", "origin", None, "", "how a browser reaches that proxy; without it `https://` and its name"),
    Key("ports.first", "port", 8100, "", "where the ports of the other agents' pages begin"),
    Key("ports.count", "count", 900, "", "how many of those there are; an agent that has a port keeps it"),
    Key("stuck_minutes", "minutes", 30, "", "minutes without any progress after which a turn is stuck; 0: never"),
    Key(
        "retention.messages",
        "days",
        30,
        "",
        "days that messages are kept that were read, and questions that were answered; others stay",
    ),
    Key("retention.events", "days", 90, "", "days that hive's events are kept; who follows from before gets `resync`"),
    Key("retention.turns", "days", 7, "", "days that an agent's record of its turns is kept"),
    Key("retention.turn_events", "events", 2000, "", "how much of that record is kept at the most: its newest events"),
)


class Choices(NamedTuple):
    """What holds. values: by the key's name. origins: where each of them comes from, in words.

    new_agents: what the `agent.toml` of a new agent holds, as it was written. notify: whom to notify of what, as in
    notify_toml.py; it holds secrets, and is shown nowhere as it is. notify_error: why that cannot be used, which costs
    the notifications and nothing else.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    new_agents: Mapping[str, Any] = MappingProxyType({})
    notify: Mapping[str, Any] = MappingProxyType({})
    notify_error: str | None = None

    @property
    def programs(self) -> dict[str, str]:
        """The CLIs that are named, by their names."""
        return {name: found for name in CLIS if (found := self.values[f"clis.{name}"])}

    def named_by(self, key: str) -> str:
        """What names a value, for a sentence: `HIVE_CODEX`, or the key and its line."""
        variable = next(known.variable for known in KEYS if known.name == key)
        origin = self.origins[key]
        return variable if variable and origin.startswith(variable) else f"{key} ({origin})"


def read(home: Path, environment: tuple[tuple[str, str], ...]) -> Choices:
    """What holds now in this process. Raises Refused for a file, Invalid for a variable that cannot be used."""
    path = home / FILE
    return _read(str(path), _identity(path), environment)


def defaults(environment: tuple[tuple[str, str], ...] = ()) -> Choices:
    """What holds without a file; a variable that cannot be used is left out. For who must go on with a bad file."""
    try:
        return _merged({}, {}, dict(environment))
    except HiveError:
        return _merged({}, {}, {})


def chosen(environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What of an environment goes before the file."""
    return tuple((key.variable, value) for key in KEYS if key.variable and (value := environ.get(key.variable)))


def _identity(path: Path) -> Hashable:
    """What changes whenever the file does; None where there is none."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.") from error
    if not stat.S_ISREG(found.st_mode):
        why = "Is a directory" if stat.S_ISDIR(found.st_mode) else "it is no file"
        raise Refused(f"{path} cannot be read: {why}.")
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


@lru_cache(maxsize=64)
def _read(path: str, identity: Hashable, environment: tuple[tuple[str, str], ...]) -> Choices:
    if identity is None:
        return _merged({}, {}, dict(environment))
    # Not before there is a file: most of what a hive is asked needs no parser.
    from hive_core import checked_toml

    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise Refused(f"{path} cannot be read: {reason}.") from error
    checker, table = checked_toml.load(text, path, Refused)
    checked = checker.table(table, (), _schema())
    _check_range(checker, checked)
    flat = {name: value for key in KEYS if (value := _at(checked, name := key.name)) is not None}
    lines = {name: f"{FILE}, line {checker.line(tuple(name.split('.')))}" for name in flat}
    new = table.get(NEW_AGENTS, {})
    for name in new:
        lines[f"{NEW_AGENTS}.{name}"] = f"{FILE}, line {checker.line((NEW_AGENTS, name))}"
    merged = _merged(flat, lines, dict(environment), new)
    try:
        return merged._replace(**_whom_to_notify(checker, checked.get(NOTIFY, {}), merged.origins))
    except Refused as error:
        return merged._replace(notify_error=error.message)


def _as_it_is(_checker: Any, value: Any, _path: tuple[str, ...]) -> Any:
    """What is checked by itself: one error there costs nothing else."""
    return value


def _whom_to_notify(checker: Any, given: Any, origins: Mapping[str, str]) -> dict[str, Any]:
    """The checked table, and where each of its keys comes from. Raises Refused."""
    from hive_core import notify_toml

    checked = notify_toml.check(checker, given, (NOTIFY,))
    places: list[tuple[str, ...]] = [(NOTIFY, name) for name in checked]
    places += [(NOTIFY, "services", name) for name in checked.get("services", {})]
    lines = {".".join(place): f"{FILE}, line {checker.line(place)}" for place in places}
    return {"notify": checked, "origins": {**origins, **lines}}


def _merged(
    found: Mapping[str, Any],
    lines: Mapping[str, str],
    environment: Mapping[str, str],
    new_agents: Mapping[str, Any] | None = None,
) -> Choices:
    values, origins = {}, dict(lines)
    for key in KEYS:
        values[key.name] = found.get(key.name, key.default)
        origins.setdefault(key.name, DEFAULT)
        if (own := environment.get(key.variable)) is not None:
            values[key.name], origins[key.name] = own, f"{key.variable} in the environment"
    if values["backend"] not in BACKENDS:
        raise Invalid(f"HIVE_BACKEND is {values['backend']!r}; this hive knows: {', '.join(OFFERED)}.")
    if values["page.serve"] not in SWITCH:
        raise Invalid(f"HIVE_PAGE is {values['page.serve']!r}; it is one of: {', '.join(SWITCH)}.")
    return Choices(values, origins, new_agents or {})


def _at(table: Mapping[str, Any], name: str) -> Any:
    first, _, rest = name.partition(".")
    return table.get(first) if not rest else table.get(first, {}).get(rest)


def _schema() -> dict[str, Any]:
    """The checks of a whole file, by the keys."""
    checks, schema = _checks(), {}
    tables: dict[str, dict[str, Any]] = {}
    for key in KEYS:
        first, _, rest = key.name.partition(".")
        if rest:
            tables.setdefault(first, {})[rest] = checks[key.kind]
            schema[first] = _table(tables[first])
        else:
            schema[first] = checks[key.kind]
    return {**schema, NEW_AGENTS: _new_agents, NOTIFY: _as_it_is}


def _table(checks: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda checker, value, path: checker.table(value, path, checks)


def _checks() -> dict[str, Any]:
    from hive_core.checked_toml import one_of, text_of, whole

    return {
        "text": text_of,
        "backend": one_of(OFFERED),
        "switch": one_of(SWITCH),
        "file": _file,
        "host": _matching(_HOST, "give a name, and a port where it is not the usual one, as in hive.example.org:8443"),
        "origin": _matching(f"https?://{_HOST}", "give it as a browser does, as in https://hive.example.org:8443"),
        "port": whole(1024, 65535),
        "count": whole(1, 60000),
        "days": whole(1, 36500),
        "minutes": whole(0, 10080),
        "events": whole(100, 1_000_000),
    }


def _file(checker: Any, value: Any, path: tuple[str, ...]) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        checker.wrong(value, path, "give the absolute path of a program")
    return str(value)


def _matching(pattern: str, hint: str) -> Callable[..., Any]:
    def check(checker: Any, value: Any, path: tuple[str, ...]) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            checker.wrong(value, path, hint)
        return str(value)

    return check


def _new_agents(checker: Any, value: Any, path: tuple[str, ...]) -> Any:
    from hive_core.containers.config import check_table

    if not isinstance(value, dict):
        checker.wrong(value, path, "give a table of what an agent.toml may hold")
    return check_table(checker, {**SEED, **value}, path)


def _check_range(checker: Any, checked: Mapping[str, Any]) -> None:
    """The agents' ports end where ports do."""
    ports = checked.get("ports", {})
    last = ports.get("first", 8100) + ports.get("count", 900) - 1
    if last > 65535:
        checker.refuse(("ports", "count"), f"leads to port {last}", "the last port is 65535")


# What a new agent runs unless the operator says otherwise.
SEED: Mapping[str, Any] = {"runner": "claude"}
