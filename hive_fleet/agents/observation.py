"""What can be seen of the agents outside the database: their containers, logins and ports.

Looking may be slow, and it reads what agents have written, so it is done before a change of the database, never inside
one. The change then asks `overtaken` which agents have changed since.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Hashable, Iterable, Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from hive_agent import credentials
from hive_agent.clis import CLIS
from hive_core import events
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.transaction import outside
from hive_fleet.agents import table
from hive_fleet.flake import staleness
from hive_fleet.home import ports


class Observed(NamedTuple):
    """One agent as it was seen.

    logins: what lies in its login folder, for each CLI. taken: whether somebody else serves its port, that is a
    process of another user, or any process while the agent does not run. serves: whether it serves its port itself.
    host: the address where its port is reached.
    """

    container: Container | None
    logins: Mapping[str, credentials.Found]
    port: int
    taken: bool
    serves: bool
    host: str


class Observation(NamedTuple):
    """A look at some agents. seq: the newest event when it began. base: the newest revision of hive at that time."""

    seq: int
    base: str | None
    agents: Mapping[str, Observed]


def observe(
    hive: Hive, names: Iterable[str] | None = None, *, known: Mapping[str, Container] = MappingProxyType({})
) -> Observation:
    """Look at these agents, or at all of them.

    known: containers that are not looked at again, because the caller would know if they had ended.
    """
    with hive.store.read() as db:
        seq = events.newest(db)
        users = table.users(db)
    wanted = list(users if names is None else names)
    containers = _containers(hive, wanted, known, every=names is None)
    port_of = {name: ports.of(hive, name) for name in wanted}
    served = hive.host.listeners(port_of.values())
    agents = {}
    for name, port in port_of.items():
        container = containers[name]
        logins = {runner: found_login(hive, name, runner) for runner in CLIS}
        by = served.get(port, set())
        taken = _is_anothers(container, users.get(name), by)
        agents[name] = Observed(container, logins, port, taken, bool(by) and not taken, hive.host.page_host(name))
    return Observation(seq, staleness.newest_base(hive) if wanted else None, agents)


def _containers(
    hive: Hive, names: list[str], known: Mapping[str, Container], *, every: bool
) -> dict[str, Container | None]:
    """The containers of these agents. All of them are listed in one call where that saves calls."""
    if every and names and not known:
        found = hive.host.containers()
        return {name: found.get(name) for name in names}
    return {name: known.get(name) or hive.host.container(name) for name in names}


def overtaken(db: sqlite3.Connection, observation: Observation) -> set[str]:
    """The observed agents on which an operation has begun or ended since: what was observed of them may be outdated."""
    return events.agents_of(db, ("transient_set", "transient_cleared"), observation.seq) & observation.agents.keys()


def _is_anothers(container: Container | None, user: int | None, served_by: set[int]) -> bool:
    """Whether somebody other than the agent listens on its port.

    Where hive is not root, agents run as the operator's own user, so the operator's programs pass for the agent's.
    """
    if container is None or not container.running:
        return bool(served_by)
    return bool(served_by - {os.geteuid() if user is None else user})


def found_login(hive: Hive, name: str, runner: str) -> credentials.Found:
    """What lies in one of the agent's login folders. The agent owns the folder, so no link in it is followed.

    The answer is kept until a file is replaced or changed, and for a minute at most: a login may expire by itself.
    """
    outside(f"the login of {name} was read")
    kind = CLIS[runner].credentials
    folder = f"{hive.settings.agents}/{name}/{kind.folder}"
    return _found(runner, folder, credentials.fingerprint(folder, kind.file, kind.settings), int(time.monotonic() / 60))


@lru_cache(maxsize=8192)
def _found(runner: str, folder: str, _identity: Hashable, _minute: int) -> credentials.Found:
    return credentials.look(CLIS[runner].credentials, folder)
