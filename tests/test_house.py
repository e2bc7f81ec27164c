"""The house: imports run one way, each library lives in its room, files and functions can be read in one breath."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from hive_core.containers.backends import BACKENDS
from tests.hives import TestHive
from tests.house import (
    CHECKOUT,
    FACES,
    FLOORS,
    LIBRARIES,
    MIGRATIONS,
    NOUNS,
    OWNERS,
    RENAMES,
    ROOMS,
    STANDARD_ONLY,
    VERBS,
    modules,
    name_of,
)

# What stands before a table's name in SQL.
_NAMED = re.compile(r"\b(?:from|into|update(?:\s+or\s+\w+)?|join|table)\s+([a-z_]+)\b", re.IGNORECASE)
_SQL = re.compile(r"\b(?:select|insert|replace|update|delete|with|pragma)\b", re.IGNORECASE)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, also inside functions and for type checking."""
    found: list[str] = []
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found += (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found += (f"{node.module}.{name.name}" for name in node.names)
    return tuple(found)


def in_room(room: str) -> list[Path]:
    return [path for path in modules() if name_of(path).startswith(f"{room}/")]


def test_every_folder_with_a_module_is_a_room_or_beside_the_product() -> None:
    beside = {"tests", "benchmarks", "docs"}
    found = {path.relative_to(CHECKOUT).parts[0] for path in CHECKOUT.glob("[a-z]*/**/*.py")}
    assert found - beside == set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_no_import_runs_upward(room: str) -> None:
    upward = []
    for path in in_room(room):
        for imported in imports(path):
            other = imported.split(".")[0]
            if other != room and other in FLOORS and FLOORS[other] >= FLOORS[room]:
                upward.append(f"{name_of(path)}: {imported}")
    assert upward == []


def test_a_backend_is_known_by_its_interface_alone() -> None:
    inside = [module.partition(":")[0].removesuffix(".host") for module in BACKENDS.values()]
    known = [
        f"{name_of(path)}: {imported}"
        for path in modules()
        for imported in imports(path)
        for backend in inside
        # A backend's own files are in its folder.
        if imported.startswith(backend) and not name_of(path).startswith(f"{backend.replace('.', '/')}/")
    ]
    assert known == []


@pytest.mark.parametrize("noun", NOUNS)
def test_a_noun_imports_only_nouns_before_it(noun: str) -> None:
    allowed = {f"hive_fleet.{known}" for known in NOUNS[: NOUNS.index(noun) + 1]}
    upward = []
    for path in in_room(f"hive_fleet/{noun}"):
        for imported in imports(path):
            if imported.startswith("hive_fleet.") and ".".join(imported.split(".")[:2]) not in allowed:
                upward.append(f"{name_of(path)}: {imported}")
    assert upward == []


def test_every_noun_has_its_place_among_them() -> None:
    assert {name_of(path).split("/")[1] for path in in_room("hive_fleet") if name_of(path).count("/") > 1} == set(NOUNS)


@pytest.mark.parametrize("room", ROOMS)
def test_each_library_stays_in_its_room(room: str) -> None:
    strayed = []
    for path in in_room(room):
        for imported in imports(path):
            places = LIBRARIES.get(imported.split(".")[0])
            if places is not None and not name_of(path).startswith(places):
                strayed.append(f"{name_of(path)}: {imported}")
    assert strayed == []


@pytest.mark.parametrize("face", FACES)
def test_no_face_imports_another(face: str) -> None:
    for path in modules():
        if name_of(path).replace("/", ".").startswith(face):
            others = tuple(other for other in FACES if other != face)
            assert not [name for name in imports(path) if name.startswith(others)], path


def test_no_verb_imports_another() -> None:
    found = {
        f"{name_of(path)}: {imported}"
        for path in in_room(VERBS)
        for imported in imports(path)
        if imported.split(".")[0] == VERBS
    }
    assert found == set()


def test_only_operations_are_public_among_the_verbs() -> None:
    found = {
        f"{name_of(path)}: {node.name}"
        for path in in_room(VERBS)
        for node in tree_of(path).body
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and not node.name.startswith("_") and not is_verb(node)
    }
    assert found == set()


def is_verb(node: ast.FunctionDef | ast.ClassDef) -> bool:
    """Whether it is declared as an operation, or says what one returns."""
    wanted = "operation" if isinstance(node, ast.FunctionDef) else "dataclass"
    called = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return any(isinstance(each, ast.Name) and each.id == wanted for each in called)


def test_every_table_has_an_owner(hive: TestHive) -> None:
    with hive.inside().store.read() as db:
        tables = {row["name"] for row in db.execute("select name from sqlite_master where type in ('table', 'view')")}
    # SQLite keeps what it needs for a counter, or for an index of words, in tables of its own.
    own = {name for name in tables if name.startswith(("sqlite_", "messages_search_"))}
    assert tables - own == set(OWNERS)
    assert all((CHECKOUT / owner).is_dir() for owner in OWNERS.values())


def test_sql_names_a_table_only_in_the_folder_that_owns_it() -> None:
    found = {
        (name_of(path), table)
        for path in modules()
        if name_of(path) not in MIGRATIONS
        for table in tables_named(path)
        if not name_of(path).startswith(f"{OWNERS[table]}/")
    }
    assert found == set()


def tables_named(path: Path) -> Iterator[str]:
    """The tables that a file's SQL names: in any string of it but a docstring."""
    said = {id(node.value) for node in ast.walk(tree_of(path)) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            text = node.value
            if _SQL.search(text):
                yield from (table for table in map(str.lower, _NAMED.findall(text)) if table in OWNERS)


def test_the_harness_imports_only_the_standard_library() -> None:
    for path in modules():
        if name_of(path).startswith(STANDARD_ONLY):
            for imported in imports(path):
                root = imported.split(".")[0]
                assert root in sys.stdlib_module_names or root == STANDARD_ONLY, f"{path}: {imported}"


def test_the_design_shows_the_house_as_it_is() -> None:
    page = CHECKOUT / "docs" / "design.md"
    assert page.read_text() == runpy.run_path(str(CHECKOUT / "docs" / "generate.py"))["design"](), (
        "run python3 docs/generate.py"
    )


def test_files_are_replaced_in_one_place() -> None:
    """`Path.replace` and `rename` stand nowhere else: whoever writes beside and renames forgets to sync."""
    found = {name_of(path) for path in modules() if any(is_rename(node) for node in ast.walk(tree_of(path)))}
    assert found == set(RENAMES), "use hive_agent/atomic.py"


def is_rename(node: ast.AST) -> bool:
    """Whether it is a call of either; `str.replace` takes two arguments."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    return node.func.attr == "rename" or (node.func.attr == "replace" and len(node.args) == 1 and not node.keywords)


def test_the_modules_have_no_circle() -> None:
    """Not in types and not inside functions, either: what is imported late to hide a circle is one all the same."""
    known = {name_of(path).removesuffix(".py").replace("/", "."): path for path in modules()}
    graph = {
        name: {part for imported in imports(path) if (part := nearest(imported, known)) and part != name}
        for name, path in known.items()
    }
    while leaves := [name for name, below in graph.items() if not below & graph.keys()]:
        for name in leaves:
            del graph[name]
    assert not graph, f"these import each other: {sorted(graph)}"


def nearest(imported: str, known: dict[str, Path]) -> str | None:
    """The module that an import names, itself or something in it."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in known), None)


@pytest.mark.parametrize("room", ROOMS)
def test_a_module_says_what_it_is_and_stays_readable(room: str) -> None:
    wrong = [f"{name_of(path)}: {fault}" for path in in_room(room) for fault in hard_to_read(path)]
    assert wrong == []


def hard_to_read(path: Path) -> Iterator[str]:
    tree = tree_of(path)
    if not ast.get_docstring(tree):
        yield "no docstring"
    if len(path.read_text().splitlines()) > 400:
        yield "over 400 lines"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and (node.end_lineno or 0) - node.lineno >= 50:
            yield f"{node.name} is longer than 50 lines"
