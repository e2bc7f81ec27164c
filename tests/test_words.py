"""The words of docs/words.md: each is used, and none that was retired is."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house import CHECKOUT, modules, name_of

WORDS = CHECKOUT / "docs" / "words.md"
# What existing clients and databases know by name.
WIRE = re.compile(r"transient_(?:set|cleared|kind)")
# What was written once stays as it was: the steps that databases have been through, and the story of the releases.
HISTORY = ("hive_core/migrations.py", "hive_core/first_migrations.py")


def rows(heading: str) -> list[str]:
    """The first column of a table under a heading."""
    part = WORDS.read_text().partition(heading)[2].partition("\n## ")[0]
    return [line.split("|")[1].strip() for line in part.splitlines() if line.startswith("| ")][1:]


def texts() -> dict[str, str]:
    """Everything that is read: the modules and the pages, by name."""
    pages = [*sorted((CHECKOUT / "docs").glob("*.md")), CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md"]
    read: list[Path] = [*modules(), *(page for page in pages if page != WORDS)]
    return {name_of(path): WIRE.sub("", path.read_text()) for path in read if name_of(path) not in HISTORY}


@pytest.fixture(scope="module")
def everything() -> dict[str, str]:
    return texts()


def used(word: str, text: str) -> bool:
    """Whether a word, or one made of it, stands there as a word of its own or as a part of a name."""
    stem = re.sub("[ -]", r"[\\s_-]*", word.removesuffix("e").removesuffix("y"))
    return re.search(rf"(?<![A-Za-z]){stem}", text, re.IGNORECASE) is not None


@pytest.mark.parametrize("word", [word for row in rows("# Words") for word in row.split(", ")])
def test_a_word_that_is_explained_is_used(word: str, everything: dict[str, str]) -> None:
    assert any(used(word, text) for name, text in everything.items() if name.endswith(".py"))


@pytest.mark.parametrize("word", rows("## Retired"))
def test_a_word_that_was_retired_is_not_used(word: str, everything: dict[str, str]) -> None:
    assert [name for name, text in everything.items() if used(word, text)] == []


def test_no_two_modules_have_a_public_type_of_the_same_name() -> None:
    """A function may be called by way of its module, which says more; a type stands alone."""
    found: dict[str, set[str]] = {}
    for path in modules():
        for node in ast.parse(path.read_text()).body:
            names = [node.name] if isinstance(node, ast.ClassDef) else assigned(node)
            for name in names:
                if name[0].isupper() and not name.isupper():
                    found.setdefault(name, set()).add(name_of(path))
    assert {name: sorted(where) for name, where in found.items() if len(where) > 1} == {}


def assigned(node: ast.stmt) -> list[str]:
    """The names that a statement of a module gives to something."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    flat = [each for target in targets for each in (target.elts if isinstance(target, ast.Tuple) else [target])]
    return [target.id for target in flat if isinstance(target, ast.Name)]


def test_no_word_is_explained_twice_or_retired_and_explained() -> None:
    every = [word for row in [*rows("# Words"), *rows("## Retired")] for word in row.split(", ")]
    assert len(every) == len(set(every))
    assert "operation" in every
    assert "transient" in every
