"""The words of docs/words.md: each is used, and none that was retired is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house import CHECKOUT, modules, name_of

WORDS = CHECKOUT / "docs" / "words.md"
# What existing clients and databases know by name.
WIRE = re.compile(r"transient_(?:set|cleared|kind)")
# What was written once stays as it was: the steps that databases have been through, and the story of the releases.
HISTORY = ("hive_core/migrations.py",)


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


def test_no_word_is_explained_twice_or_retired_and_explained() -> None:
    every = [word for row in [*rows("# Words"), *rows("## Retired")] for word in row.split(", ")]
    assert len(every) == len(set(every))
    assert "operation" in every
    assert "transient" in every
