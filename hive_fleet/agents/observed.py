"""What is found of the agents outside the database: their containers, logins and ports.

To look at them may be slow, and what lies in their folders is theirs: it is done before a change, never inside one. The
change then asks `overtaken` of whom it holds no more.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from hive_agent import credentials
from hive_agent.clis import CLIS
from hive_core.change import outside
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.events import newest
from hive_fleet.agents import table
from hive_fleet.flake import staleness
from hive_fleet.home import ports
from hive_fleet.home.listeners import listeners


@dataclass(frozen=True, slots=True)
class Observed:
    """One agent as it was found.

    logins: for each CLI what lies in its login folder. taken: whether its port is served by somebody
    else: a process of another user, or any at all while the agent does not run.
    """

    container: Container | None
    logins: Mapping[str, credentials.Found]
    port: int
    taken: bool


@dataclass(frozen=True, slots=True)
class Observation:
    """A look at some agents. seq: of the newest event when it began. base: the newest revision of hive then."""

    seq: int
    base: str | None
    agents: Mapping[str, Observed]


def observe(
    hive: Hive, names: Iterable[str] | None = None, *, known: Mapping[str, Container] = MappingProxyType({})
) -> Observation:
    """Look at these agents as they are now, or at every one there is.

    known: containers that need not be looked at, as whoever asks would have heard of their end.
    """
    with hive.store.read() as db:
        seq = newest(db)
        users = table.users(db)
    wanted = list(users if names is None else names)
    containers = _containers(hive, wanted, known, every=names is None)
    served = listeners() if wanted else {}
    agents = {}
    for name in wanted:
        container, port = containers[name], ports.of(hive, name)
        logins = {runner: found_login(hive, name, runner) for runner in CLIS}
        taken = _is_anothers(container, users.get(name), served.get(port, set()))
        agents[name] = Observed(container, logins, port, taken)
    return Observation(seq, staleness.upstream(hive) if wanted else None, agents)


def _containers(
    hive: Hive, names: list[str], known: Mapping[str, Container], *, every: bool
) -> dict[str, Container | None]:
    """The containers of these agents; those of every agent are asked for at once, unless some are known."""
    if every and names and not known:
        found = hive.host.containers()
        return {name: found.get(name) for name in names}
    return {name: known.get(name) or hive.host.container(name) for name in names}


def overtaken(db: sqlite3.Connection, observation: Observation) -> set[str]:
    """The agents an operation on which has begun or ended since the observation: of them it may not hold any more."""
    query = "select agent from events where kind in ('transient_set', 'transient_cleared') and seq > ?"
    return {row["agent"] for row in db.execute(query, (observation.seq,))} & observation.agents.keys()


def _is_anothers(container: Container | None, user: int | None, served_by: set[int]) -> bool:
    """Whether not the agent listens on its port. Where hive is not root its user cannot tell it from the operator."""
    if container is None or not container.running:
        return bool(served_by)
    return bool(served_by - {os.geteuid() if user is None else user})


def found_login(hive: Hive, name: str, runner: str) -> credentials.Found:
    """What lies in one of the agent's login folders. The folder is the agent's: no link is followed.

    Read again only when a file is another one or has changed, or a minute later: what a login says of its own end
    comes true by itself.
    """
    outside(f"the login of {name} was read")
    kind = CLIS[runner].credentials
    folder = f"{hive.settings.agents}/{name}/{kind.folder}"
    return _found(runner, folder, credentials.fingerprint(folder, kind.file, kind.settings), int(time.monotonic() / 60))


@lru_cache(maxsize=8192)
def _found(runner: str, folder: str, _identity: Hashable, _minute: int) -> credentials.Found:
    return credentials.look(CLIS[runner].credentials, folder)
