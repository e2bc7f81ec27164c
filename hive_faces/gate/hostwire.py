"""The host socket's protocol, to the letter: what desktop clients of the modelled system send, and what they get back.

Field names, their order, and absence when null are a contract; see `tests/faces/test_hostwire.py`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hive_cmds import lifecycle, pausing, requests
from hive_core.arguments import FLAG, agent_name, require_json_type
from hive_core.context import Hive
from hive_core.errors import HiveError, Invalid
from hive_core.event_stream import Stretch
from hive_core.operation import REGISTRY
from hive_faces.gate.followers import Language
from hive_fleet.agents import last_seen, status
from hive_fleet.agents.status import StatusRow
from hive_fleet.home import ports
from hive_fleet.requests.request import Request

VERSION = 1
FIELDS = tuple(StatusRow.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of answer: what is None is absent."""

    version: int = VERSION
    ok: bool = True
    error: str | None = None
    agents: list[str] | None = None
    agent_statuses: list[StatusRow] | None = None
    approvals: list[Request] | None = None
    urls: dict[str, str] | None = None


def statuses(hive: Hive) -> list[StatusRow]:
    """Every agent's row."""
    return [status_row({name: getattr(agent, name) for name in FIELDS}) for agent in status.of_all(hive)]


def status_row(fields: Mapping[str, Any]) -> StatusRow:
    """The row of an agent of which more, or less, is known."""
    row: dict[str, Any] = {name: fields.get(name) for name in FIELDS}
    return StatusRow(**row)


def _told(db: sqlite3.Connection, stretch: Stretch) -> Iterator[Answer]:
    """A line for each change of an agent; for every agent, where it cannot be known which have changed."""
    rows = [event.data["container"] for event in stretch.events] if stretch.known else last_seen.shown(db)
    for row in rows:
        yield Answer(agent_statuses=[status_row(row)])


# What follows the answer to `subscribe_agent_status`.
STATUSES = Language(frozenset({"container_state_changed"}), _told, None)


def _list(hive: Hive, _request: Mapping[str, Any]) -> Answer:
    return Answer(agents=[agent.name for agent in status.of_all(hive)])


def _agent_status(hive: Hive, _request: Mapping[str, Any]) -> Answer:
    return Answer(agent_statuses=statuses(hive))


def _urls(hive: Hive, _request: Mapping[str, Any]) -> Answer:
    return Answer(urls={"home": f"http://127.0.0.1:{ports.chosen(hive).page}/"})


def _pending(hive: Hive, _request: Mapping[str, Any]) -> Answer:
    return Answer(approvals=requests.approvals(hive))


def _start(hive: Hive, request: Mapping[str, Any]) -> Answer:
    return _each(request, lambda name: lifecycle.start(hive, name))


def _stop(hive: Hive, request: Mapping[str, Any]) -> Answer:
    end = lifecycle.stop if _flag(request, "graceful", True) else lifecycle.kill
    return _each(request, lambda name: end(hive, name))


def _set_paused(hive: Hive, request: Mapping[str, Any]) -> Answer:
    change = pausing.pause if _flag(request, "paused", None) else pausing.resume
    change(hive, agent_name(request.get("name")))
    return Answer()


def _flag(request: Mapping[str, Any], name: str, default: object) -> bool:
    value = request.get(name, default)
    require_json_type(value, FLAG.schema, name)
    return bool(value)


def _each(request: Mapping[str, Any], act: Callable[[str], object]) -> Answer:
    """Act on every agent of the scope; one that fails does not keep the others from it."""
    failures = []
    for name in _scope(request):
        try:
            act(name)
        except HiveError as error:
            failures.append(f"{name}: {error.message}")
    return Answer(ok=not failures, error=" ".join(failures) or None)


def _scope(request: Mapping[str, Any]) -> list[str]:
    """The agents that a request is about; an empty scope, which the modelled system takes as all, is refused."""
    scope = request.get("scope")
    names = scope.get("agent_names") if isinstance(scope, dict) else None
    if not isinstance(names, list) or not names:
        raise Invalid('The scope names no agent: give {"scope": {"agent_names": ["..."]}}.')
    return [agent_name(name) for name in names]


def _operation(verb: str) -> Callable[[Hive, Mapping[str, Any]], Answer]:
    """Serve a verb that is an operation with the arguments it declares."""

    def serve(hive: Hive, request: Mapping[str, Any]) -> Answer:
        REGISTRY[verb].call(hive, {name: value for name, value in request.items() if name != "cmd"}, strict=True)
        return Answer()

    return serve


COMMANDS: Mapping[str, Callable[[Hive, Mapping[str, Any]], Answer]] = {
    "list": _list,
    "agent_status": _agent_status,
    "urls": _urls,
    "pending": _pending,
    "start": _start,
    "stop": _stop,
    "set_paused": _set_paused,
    **{
        verb: _operation(verb)
        for verb in ("approve", "deny", "spawn", "request_spawn", "kill", "restart", "rebuild", "destroy")
    },
}
