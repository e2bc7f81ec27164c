"""Who uses how much of the disk: every agent, the database by its tables, and what is hive's own."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hive_agent.clis import CLIS
from hive_core import database_file
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.hostile_folders import Measured, measure
from hive_core.human import natural, size
from hive_fleet.agents import table

DISK, HIVE = "disk", "hive"
# Seconds that the database may be read for; a large one is told of in fewer words then.
LONGEST = 5.0


@dataclass(frozen=True, slots=True)
class Usage:
    """What somebody takes up of the disk. of: 'disk', 'hive' or an agent. size: bytes; of 'disk' those that are free.

    whole: whether all was looked at; else it is at least that much.
    """

    of: str
    what: str
    size: int
    whole: bool
    detail: str


def usage(hive: Hive) -> list[Usage]:
    """All of it: the disk, then hive's own, then the agents, who takes up most first."""
    agents = [list(_of_agent(hive, name, there)) for name, there in _names(hive).items()]
    agents.sort(key=lambda rows: -sum(row.size for row in rows))
    return [*_disk(hive), *_own(hive), *(row for rows in agents for row in rows if row.size)]


def _disk(hive: Hive) -> Iterator[Usage]:
    found = os.statvfs(hive.settings.home if hive.settings.home.is_dir() else "/")
    whole, free = found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize
    yield Usage(DISK, "free", free, True, f"of {size(whole)}, where {hive.settings.home} is")


def _own(hive: Hive) -> Iterator[Usage]:
    home = hive.settings.home
    if hive.settings.database.exists():
        space = database_file.space(hive.store)
        parts = database_file.by_table(hive.store, LONGEST)
        yield Usage(HIVE, "database", space.total + space.log, True, f"{size(space.free)} of it free")
        for name, count in parts.items():
            yield Usage(HIVE, f"database: {name}", count, True, "part of the database")
    for name in ("meta", "revisions", "reserve"):
        yield from _measured(HIVE, name, [home / name], "")
    kept = [path for path in home.glob(f"{hive.settings.database.name}.*") if path.is_file()]
    yield from _measured(HIVE, "old databases", kept, "set aside by a restore, or because they were damaged")


def _names(hive: Hive) -> Mapping[str, bool]:
    """Everybody of whom there is anything, and whether they have a container."""
    with hive.store.read() as db:
        there = {*table.names(db), *hive.host.containers()}
    kept = {path.name for path in hive.settings.agents.iterdir()} if hive.settings.agents.is_dir() else set()
    return {name: name in there for name in sorted(there | kept, key=natural)}


def _of_agent(hive: Hive, name: str, there: bool) -> Iterator[Usage]:
    folder, detail = hive.agent_path(name), "" if there else "destroyed; `hive purge` removes it"
    yield from _measured(name, "state", [folder / "state"], detail)
    yield from _measured(name, "logins", [folder / cli.credentials.folder for cli in CLIS.values()], detail)
    clones = [folder / "config", hive.settings.proposed / name, hive.applied_path(name)]
    yield from _measured(name, "repositories", clones, detail)
    if there:
        try:
            parts = hive.host.usage(name)
        except HiveError:
            return  # It has an agent's row, and no container any more.
        for what, count in parts.items():
            yield Usage(name, what, count, True, detail)


def _measured(of: str, what: str, places: list[Path], detail: str) -> Iterator[Usage]:
    total, whole = 0, True
    for path in places:
        try:
            status = path.lstat()
        except OSError:
            continue  # It is not there, or is closed to us by a manager that is the same user.
        found = Measured(status.st_size, 0.0, True) if stat.S_ISREG(status.st_mode) else measure(path)
        total, whole = total + found.size, whole and found.whole
    if total:
        yield Usage(of, what, total, whole, detail if whole else f"at least; it is too much to look at all. {detail}")
