"""The house: imports run one way, each library lives in its room, files and functions can be read in one breath."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hives import CHECKOUT

# The harness is the lowest: it imports the standard library alone, and the ground reads its table of CLIs.
FLOORS = {"hive_agent": 0, "hive_core": 1, "status_page": 2, "hive_cmds": 2}
FACES = {"cli", "gate"}
# Library -> where alone it may be imported.
ROOMS = {
    "typer": ("hive_faces/shell/cli.py",),
    "rich": ("hive_faces/shell/cli.py", "hive_faces/shell/present.py", "hive_faces/shell/tables.py"),
    "bottle": ("status_page/", "hive_agent/"),
    "pygit2": ("hive_core/git/",),
    "plumbum": ("hive_core/process.py",),
    "sqlite_fts4": ("hive_cmds/recall.py",),
    "inotify_simple": ("hive_core/wake.py", "hive_core/containers/"),
}
# The harness runs in containers that have a bare Python.
STANDARD_ONLY = "hive_agent"


def modules() -> list[Path]:
    return sorted(path for room in FLOORS for path in (CHECKOUT / room).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


def name_of(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_import_runs_upward(path: Path) -> None:
    own = FLOORS[name_of(path).split("/")[0]]
    for imported in imports(path):
        room = imported.split(".")[0]
        assert room not in FLOORS or FLOORS[room] < own or room == name_of(path).split("/")[0], imported


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_each_library_stays_in_its_room(path: Path) -> None:
    for imported in imports(path):
        rooms = ROOMS.get(imported.split(".")[0])
        assert rooms is None or name_of(path).startswith(rooms), imported


def test_the_faces_do_not_import_each_other_and_no_concern_imports_one() -> None:
    for path in (CHECKOUT / "hive_cmds").glob("*.py"):
        for imported in imports(path):
            face = imported.removeprefix("hive_cmds.").split(".")[0]
            if imported.startswith("hive_cmds.") and face in FACES:
                assert path.stem == "up", f"{path.stem} imports the face {face}"


def test_the_concerns_have_no_circle() -> None:
    graph = {
        path.stem: {
            part
            for name in imports(path)
            if name.startswith("hive_cmds.")
            for part in name.split(".")[1:2]
            if (path.parent / f"{part}.py").exists() and part != path.stem
        }
        for path in (CHECKOUT / "hive_cmds").glob("*.py")
    }
    while leaves := [name for name, below in graph.items() if not below & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other: {sorted(graph)}"


def test_the_harness_imports_only_the_standard_library() -> None:
    import sys

    for path in (CHECKOUT / STANDARD_ONLY).rglob("*.py"):
        for imported in imports(path):
            root = imported.split(".")[0]
            assert root in sys.stdlib_module_names or root == STANDARD_ONLY, f"{path}: {imported}"


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_what_it_is_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name
