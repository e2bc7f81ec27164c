"""The plan of the house, as data: floors, owners of tables, rooms of libraries. tests/test_house.py holds it.

docs/generate.py draws it into docs/design.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Room:
    """A folder of the house. Imports run down only: to a room on a lower floor, or inside the same one."""

    floor: int
    says: str


ROOMS = {
    "hive_faces": Room(4, "faces: how one calls"),
    # Below the other faces: what brings the long-running ones together serves it, too.
    "status_page": Room(3, "the browser's face: a client of the operator's socket"),
    "hive_cmds": Room(3, "verbs: the operations, none of which imports another"),
    "hive_fleet": Room(2, "nouns: what operations share, each the owner of its tables"),
    "hive_core": Room(1, "ground: knows no verb, no noun and no face"),
    # The ground reads its table of CLIs.
    "hive_agent": Room(0, "beside an agent in its container; standard library alone"),
}
FLOORS = {name: room.floor for name, room in ROOMS.items()}
# The room of the operations: nothing else is public there, and no file of it imports another.
VERBS = "hive_cmds"

# The nouns, from the ground up: each may import those before it.
NOUNS = (
    "home",
    "service",
    "flake",
    "needs",
    "notifications",
    "agents",
    "messages",
    "events",
    "requests",
    "changes",
    "watching",
    "upkeep",
    "checkup",
)

# Table -> the folder in which alone SQL may name it; the migrations make them all.
OWNERS = {
    "agents": "hive_fleet/agents",
    "halts": "hive_fleet/agents",
    "pictures": "hive_fleet/agents",
    "approvals": "hive_fleet/requests",
    "messages": "hive_fleet/messages",
    "messages_indexed": "hive_fleet/messages",
    "messages_search": "hive_fleet/messages",
    "messages_words": "hive_fleet/messages",
    "questions": "hive_fleet/messages",
    "readers": "hive_fleet/messages",
    "fan_outs": "hive_fleet/flake",
    "needs": "hive_fleet/needs",
    "notices": "hive_fleet/notifications",
    "services": "hive_fleet/notifications",
    "tellings": "hive_fleet/notifications",
    "events": "hive_core",
    "migrations": "hive_core",
    "operations": "hive_core",
    "repairs": "hive_core",
    "snapshots": "hive_core",
}
MIGRATIONS = ("hive_core/migrations.py", "hive_core/first_migrations.py")
# The faces, of which none imports another. `up` is none of them: it is what brings the long-running ones together.
FACES = ("hive_faces.shell", "hive_faces.gate", "status_page")

# Library -> where alone it may be imported.
LIBRARIES = {
    "typer": ("hive_faces/shell/",),
    "rich": ("hive_faces/shell/",),
    "bottle": ("status_page/",),
    "prometheus_client": ("status_page/metrics.py",),
    "pygit2": ("hive_core/git/",),
    "plumbum": ("hive_core/process.py",),
    "sqlite_fts4": ("hive_fleet/messages/",),
    "apprise": ("hive_fleet/notifications/",),
    "inotify_simple": ("hive_core/commits.py", "hive_core/containers/"),
}
# What is replaced as a whole is written by hive_agent/atomic.py. Renamed elsewhere are folders, sockets, and files that
# are kept under another name.
RENAMES = (
    "hive_agent/atomic.py",
    "hive_agent/turns/record.py",
    "hive_cmds/backup.py",
    "hive_core/containers/local/generations.py",
    "hive_core/containers/local/host.py",
    "hive_core/containers/local/journal_writer.py",
    "hive_core/containers/local/launcher.py",
    "hive_core/environment.py",
    "hive_core/git/made.py",
    "hive_core/hostile_folders.py",
    "hive_core/store.py",
    "hive_faces/gate/sockets.py",
)
# The harness runs in containers that have a bare Python.
STANDARD_ONLY = "hive_agent"


@cache
def modules() -> tuple[Path, ...]:
    """Every module of the product."""
    return tuple(sorted(path for room in FLOORS for path in (CHECKOUT / room).rglob("*.py")))


def name_of(path: Path) -> str:
    """The path as a person says it, from the checkout on."""
    return str(path.relative_to(CHECKOUT))


def picture() -> str:
    """The house as text: each room with its floor, its folders, and the tables that they own."""
    lines = []
    for name, room in ROOMS.items():
        lines.append(f"{room.floor}  {name + '/':<13}{room.says}")
        lines += [f"     {line}" for line in _folders(name)]
    return "\n".join(lines)


def _folders(room: str) -> list[str]:
    """The folders right in a room, one a line where they own tables."""
    tables: dict[str, list[str]] = {}
    for table, owner in OWNERS.items():
        tables.setdefault(owner, []).append(table)
    names = sorted(
        {
            name_of(path).split("/")[1]
            for path in modules()
            if name_of(path).count("/") > 1 and name_of(path).startswith(f"{room}/")
        }
    )
    owning = [name for name in names if f"{room}/{name}" in tables]
    lines = [f"{name + '/':<13}{', '.join(tables[f'{room}/{name}'])}" for name in owning]
    if others := [f"{name}/" for name in names if name not in owning]:
        lines.append("  ".join(others))
    if room in tables:
        lines.append(f"tables: {', '.join(tables[room])}")
    return lines
