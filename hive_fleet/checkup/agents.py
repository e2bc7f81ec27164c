"""The agents: whether git, the database and the containers say the same of each, and their ports."""

from __future__ import annotations

import pwd
from collections.abc import Iterator
from pathlib import Path

from hive_core import progress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.human import count, natural
from hive_fleet.agents import status, strays, table
from hive_fleet.checkup.finding import Examination, Finding, Findings
from hive_fleet.flake import flake, meta, staleness, upstream
from hive_fleet.home import ports


def _agreement(hive: Hive) -> Findings:
    """Whether the row, the repository, the lock and the container of each agent are of one mind."""
    with hive.store.read() as db:
        names, busy = table.names(db), set(progress.all_in_progress(db))
    wrong = [Finding("agents", False, f"{name} has a container that the database does not know", "hive adopt")
             for name in strays.all_strays(hive)]  # fmt: skip
    nodes = flake.read_lock(hive.settings.meta) if hive.settings.meta.is_dir() else {}
    for name in sorted(set(names) - busy, key=natural):
        wrong += _of_one(hive, name, flake.rev_of(nodes, meta.agent_input(name)))
    yield from wrong
    if not wrong:
        yield Finding("agents", True, f"{count(len(names), 'agent')}: database, git and containers say the same")


def _of_one(hive: Hive, name: str, locked: str | None) -> Iterator[Finding]:
    from hive_core.git.repository import Repository

    try:
        main = Repository(hive.applied_path(name)).main()
    except HiveError as error:
        yield Finding("agents", False, f"the applied repository of {name}: {error.message}", "hive restore DIR")
        return
    container = hive.host.container(name)
    if container is None:
        yield Finding("agents", False, f"{name} has no container", f"hive rebuild {name}")
    elif main not in (container.revision, container.next_revision):
        said = f"{name} would start with {(container.next_revision or 'nothing')[:12]}, deployed is {main[:12]}"
        yield Finding("agents", False, said, f"hive rebuild {name}")
    if locked != main:
        said = f"the meta flake locks {(locked or 'nothing')[:12]} for {name}, deployed is {main[:12]}"
        yield Finding("agents", False, said, f"hive meta-update {meta.agent_input(name)}")


def _ports(hive: Hive) -> Findings:
    """Whether two agents have the same port, or one has the status page's, or another program's."""
    with hive.store.read() as db:
        names = table.names(db)
    taken = {ports.chosen(hive).page: "the status page"}
    shared = []
    for name in sorted(names, key=natural):
        port = ports.of(hive, name)
        if port in taken:
            todo = f"write another into {_port_file(hive, name)}, hive restart {name}"
            shared.append(Finding("ports", False, f"{name} and {taken[port]} both have port {port}", todo))
        taken.setdefault(port, name)
    shared += _taken_by_others(hive)
    yield from shared or [Finding("ports", True, "each agent has its own")]


def _taken_by_others(hive: Hive) -> Findings:
    """Whose port another program serves, and whose that is."""
    for view in status.of_all(hive):
        if (port := view.port_taken) is None:
            continue
        users = " and ".join(map(_user_name, sorted(hive.host.listeners([port]).get(port, set()))))
        said = f"port {port} of {view.name} is served by another program" + (f", of {users}" if users else "")
        other = f"end it (`ss -ltnp sport = :{port}` names it), or write another into {_port_file(hive, view.name)}"
        yield Finding("ports", False, said, f"{other}; then hive restart {view.name}")


def _port_file(hive: Hive, name: str) -> Path:
    return hive.agent_path(name) / "port"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _hive(hive: Hive) -> Findings:
    """Whether the agents were built with the hive that there is now."""
    stale = [view.name for view in status.of_all(hive) if view.needs_update]
    yield Finding("hive", None if stale else True, staleness.notice(stale) if stale else "every agent has the newest")
    if upstream.uncommitted(hive):
        said = f"{hive.settings.source / 'hive_agent'} has changes that are not committed: no agent is given them"
        yield Finding("checkout", None, said, "commit them, hive update --stale")


CHECKS = (Examination("agents", _agreement), Examination("ports", _ports), Examination("hive", _hive))
