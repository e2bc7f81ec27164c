"""The plan of the house, as data: floors, owners of tables, rooms of libraries. tests/test_house.py holds it."""

from __future__ import annotations

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parent.parent

# Room -> its floor; imports run down only. The harness is the lowest: it imports the standard library alone, and the
# ground reads its table of CLIs.
FLOORS = {
    "hive_agent": 0,
    "hive_core": 1,
    "hive_fleet": 2,
    "hive_cmds": 3,
    "hive_faces": 4,
    "status_page": 4,
}
# The faces, of which none imports another. `up` is none of them: it is what brings the long-running ones together.
FACES = ("hive_faces.shell", "hive_faces.gate", "status_page")

# Library -> where alone it may be imported.
LIBRARIES = {
    "typer": ("hive_faces/shell/",),
    "rich": ("hive_faces/shell/",),
    "bottle": ("status_page/",),
    "pygit2": ("hive_core/git/",),
    "plumbum": ("hive_core/process.py",),
    "sqlite_fts4": ("hive_fleet/messages/",),
    "inotify_simple": ("hive_core/wake.py", "hive_core/containers/"),
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
    "hive_core/environment.py",
    "hive_core/git/made.py",
    "hive_core/hostile_folders.py",
    "hive_core/store.py",
    "hive_faces/gate/sockets.py",
)
# The harness runs in containers that have a bare Python.
STANDARD_ONLY = "hive_agent"


def modules() -> list[Path]:
    """Every module of the product."""
    return sorted(path for room in FLOORS for path in (CHECKOUT / room).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as a person says it, from the checkout on."""
    return str(path.relative_to(CHECKOUT))
