"""What a shell is offered for a value: the names and numbers that make sense in its place now."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable

from hive_core import settings
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.operation import Parameter

# How many of what there is more and more of are offered.
MOST_OFFERED = 50


def _agents(hive: Hive) -> Iterable[str]:
    from hive_fleet.agents import table

    with hive.store.read() as db:
        return table.names(db)


def _destroyed(hive: Hive) -> Iterable[str]:
    from hive_fleet.agents import tombstones

    return tombstones.kept_names(hive)


def _recipients(hive: Hive) -> Iterable[str]:
    return sorted([*_agents(hive), "operator"])


def _inputs(hive: Hive) -> Iterable[str]:
    from hive_fleet.flake import meta

    return sorted([meta.HIVE_INPUT, *map(meta.agent_input, _agents(hive))])


def _pending(hive: Hive) -> Iterable[int]:
    from hive_fleet.requests import queue

    with hive.store.read() as db:
        return [row["id"] for row in queue.waiting(db)]


def _requests(hive: Hive) -> Iterable[int]:
    from hive_fleet.requests import queue

    with hive.store.read() as db:
        return queue.newest_ids(db, MOST_OFFERED)


def _questions(hive: Hive) -> Iterable[int]:
    from hive_fleet.messages import questions

    with hive.store.read() as db:
        return questions.open_ids(db)


def _messages(hive: Hive) -> Iterable[int]:
    from hive_fleet.messages import search

    with hive.store.read() as db:
        return [row["id"] for row in search.newest_messages(db, MOST_OFFERED, inbox=None)]


def _needs(hive: Hive) -> Iterable[str]:
    from hive_fleet.needs import needs

    with hive.store.read() as db:
        return [need.id for need in needs.waiting(db)]


# What a kind of argument offers -> what finds it.
SOURCES: dict[str, Callable[[Hive], Iterable[object]]] = {
    "agents": _agents,
    "destroyed agents": _destroyed,
    "recipients": _recipients,
    "inputs": _inputs,
    "pending requests": _pending,
    "requests": _requests,
    "open questions": _questions,
    "messages": _messages,
    "needs": _needs,
}


def values(parameter: Parameter) -> Callable[[str], list[str]] | None:
    """What offers the values of a parameter that begin as what was typed; None where nothing can be offered."""
    choices, find = parameter.kind.schema.get("enum"), SOURCES.get(parameter.kind.offers or "")
    if find is None and choices is None:
        return None

    def offer(incomplete: str) -> list[str]:
        offered = map(str, choices or () if find is None else _found(find))
        return [value for value in offered if value.startswith(incomplete)]

    return offer


def _found(find: Callable[[Hive], Iterable[object]]) -> Iterable[object]:
    try:
        hive = Hive.open(settings.from_environment(os.environ))
        # Whoever presses Tab wants nothing made.
        return find(hive) if hive.settings.database.exists() else []
    except (HiveError, OSError, sqlite3.Error):
        # In the middle of a line there is no place for an error; the command itself will tell it.
        return []
