"""What a shell is offered for a value: the names and numbers that make sense in its place now."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable

from hive_core import settings
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import Operation, Parameter

_AGENTS = "select name from agents order by name"
_PENDING = "select id from approvals where status = 'pending' order by id"
_OPEN = "select id from questions where answered_at is null order by id"
# By the word that stands for the value in the help, unless the command wants others.
_BY_WORD = {
    "NAME": _AGENTS,
    "TO": f"{_AGENTS.removesuffix(' order by name')} union select 'operator'",
    "INPUT": "select 'hive' union all select 'agent-' || name from agents",
}
_BY_COMMAND = {
    ("approve", "ID"): _PENDING,
    ("deny", "ID"): _PENDING,
    ("show", "ID"): "select id from approvals order by id desc limit 50",
    ("answer", "ID"): _OPEN,
    ("cancel_question", "ID"): _OPEN,
}
# Commands about agents that are not there: any of the living would be wrong.
_DESTROYED = ("revive", "purge")
_NEW = ("spawn", "request_spawn")


def values(operation: Operation, parameter: Parameter) -> Callable[[str], list[str]] | None:
    """What offers the values of a parameter that begin as what was typed; None where nothing can be offered."""
    word = parameter.kind.metavar
    query = _BY_COMMAND.get((operation.name, word)) or _BY_WORD.get(word)
    choices = parameter.kind.schema.get("enum")
    if choices is None and (query is None or operation.name in _NEW):
        return None

    def offer(incomplete: str) -> list[str]:
        find = _destroyed if operation.name in _DESTROYED else lambda hive: _rows(hive, str(query))
        return [value for value in choices or _found(find) if value.startswith(incomplete)]

    return offer


def _found(find: Callable[[Hive], list[str]]) -> list[str]:
    try:
        hive = Hive.open(settings.from_environment(os.environ))
        # Whoever presses Tab wants nothing made.
        return find(hive) if hive.settings.database.exists() else []
    except (HiveError, OSError, sqlite3.Error):
        # In the middle of a line there is no place for an error; the command itself will tell it.
        return []


def _rows(hive: Hive, query: str) -> list[str]:
    with hive.store.read() as db:
        return [str(row[0]) for row in db.execute(query)]


def _destroyed(hive: Hive) -> list[str]:
    living = set(_rows(hive, _AGENTS))
    return sorted(path.name for path in hive.settings.agents.iterdir() if path.is_dir() and path.name not in living)
