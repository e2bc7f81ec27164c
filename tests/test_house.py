"""The house: imports run one way, each library lives in its room, files and functions can be read in one breath."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house import FACES, FLOORS, LIBRARIES, RENAMES, STANDARD_ONLY, modules, name_of


def imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions and for type checking."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_no_import_runs_upward(path: Path) -> None:
    own = name_of(path).split("/")[0]
    for imported in imports(path):
        room = imported.split(".")[0]
        assert room not in FLOORS or FLOORS[room] < FLOORS[own] or room == own, imported


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_each_library_stays_in_its_room(path: Path) -> None:
    for imported in imports(path):
        rooms = LIBRARIES.get(imported.split(".")[0])
        assert rooms is None or name_of(path).startswith(rooms), imported


@pytest.mark.parametrize("face", FACES)
def test_no_face_imports_another(face: str) -> None:
    for path in modules():
        if name_of(path).replace("/", ".").startswith(face):
            others = tuple(other for other in FACES if other != face)
            assert not [name for name in imports(path) if name.startswith(others)], path


def test_the_harness_imports_only_the_standard_library() -> None:
    for path in modules():
        if name_of(path).startswith(STANDARD_ONLY):
            for imported in imports(path):
                root = imported.split(".")[0]
                assert root in sys.stdlib_module_names or root == STANDARD_ONLY, f"{path}: {imported}"


def test_files_are_replaced_in_one_place() -> None:
    """`Path.replace` and `rename` stand nowhere else: whoever writes beside and renames forgets to sync."""
    for path in modules():
        called = [
            node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
            if node.func.attr == "rename" or (node.func.attr == "replace" and len(node.args) == 1 and not node.keywords)
        ]
        assert not called or name_of(path) in RENAMES, f"{name_of(path)}: use hive_agent/atomic.py"


def test_the_modules_have_no_circle() -> None:
    known = {name_of(path).removesuffix(".py").replace("/", "."): path for path in modules()}
    graph = {
        name: {part for imported in top_level(path) if (part := nearest(imported, known)) and part != name}
        for name, path in known.items()
    }
    while leaves := [name for name, below in graph.items() if not below & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other: {sorted(graph)}"


def top_level(path: Path) -> Iterator[str]:
    """What a file imports as it is imported itself."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def nearest(imported: str, known: dict[str, Path]) -> str | None:
    """The module that an import names, itself or something in it."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in known), None)


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_says_what_it_is_and_stays_readable(path: Path) -> None:
    text = path.read_text()
    tree = ast.parse(text)
    assert ast.get_docstring(tree), "no docstring"
    assert len(text.splitlines()) <= 400
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.lineno < 50, node.name
