"""What is found of the agents outside the database: their containers, logins and ports.

To look at them may be slow, and what lies in their folders is theirs: it is done before a change, never inside one. The
change then asks `overtaken` of whom it holds no more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hive_agent.clis import CLIS
from hive_agent.credentials import usable_credentials
from hive_cmds import ports, staleness
from hive_core.change import outside
from hive_core.containers.base import Container
from hive_core.context import Hive
from hive_core.events import newest


@dataclass(frozen=True, slots=True)
class Observed:
    """One agent as it was found. logins: the runners for which its folders hold usable credentials."""

    container: Container | None
    logins: frozenset[str]
    port: int


@dataclass(frozen=True, slots=True)
class Observation:
    """A look at some agents. seq: of the newest event when it began. base: the newest revision of hive then."""

    seq: int
    base: str | None
    agents: Mapping[str, Observed]


def observe(hive: Hive, names: Iterable[str] | None = None) -> Observation:
    """Look at these agents as they are now, or at every one there is."""
    with hive.store.read() as db:
        seq = newest(db)
        known = [row["name"] for row in db.execute("select name from agents")] if names is None else list(names)
    if names is None:
        containers: Mapping[str, Container | None] = hive.host.containers() if known else {}
    else:
        containers = {name: hive.host.container(name) for name in known}
    agents = {
        name: Observed(containers.get(name), frozenset(_logins(hive, name)), ports.of(hive, name)) for name in known
    }
    return Observation(seq, staleness.upstream(hive) if known else None, agents)


def overtaken(db: sqlite3.Connection, observation: Observation) -> set[str]:
    """The agents an operation on which has begun or ended since the observation: of them it may not hold any more."""
    query = "select agent from events where kind in ('transient_set', 'transient_cleared') and seq > ?"
    return {row["agent"] for row in db.execute(query, (observation.seq,))} & observation.agents.keys()


def _logins(hive: Hive, name: str) -> Iterable[str]:
    return (runner for runner in CLIS if has_login(hive, name, runner))


def has_login(hive: Hive, name: str, runner: str) -> bool:
    """Whether the agent's login folder holds usable credentials. The folder is the agent's: no link is followed."""
    outside(f"the login of {name} was read")
    kind = CLIS[runner].credentials
    return usable_credentials(kind, hive.agent_path(name) / kind.folder, {})
