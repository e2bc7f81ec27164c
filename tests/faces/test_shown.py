"""What an operation gives, as a person or a program is shown it where there is no terminal."""

from __future__ import annotations

import io
import json
import sys
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hive_core.errors import Exit
from hive_faces.shell.present import show
from tests.properties import documents, texts, thorough

# What a terminal acts upon, or does not show: of control, of format, of lines and paragraphs.
UNSEEN = {"Cc", "Cf", "Zl", "Zp"}


@dataclass(frozen=True)
class Row:
    """What is shown field by field."""

    name: str
    age: float | None = None
    size: int = 0
    running: bool = False


@dataclass(frozen=True)
class Judged:
    """What came out well, did not, or cannot be said."""

    name: str
    ok: bool | None


@dataclass(frozen=True)
class Said:
    """What has words of its own; None for none."""

    words: str | None

    def text(self) -> str | None:
        return self.words


@dataclass(frozen=True)
class Full:
    """What is told in full where there is no table."""

    words: str

    def in_full(self) -> str:
        return f"{self.words}\nand more"


@dataclass(frozen=True)
class Listing:
    """An object on the wire, and its rows in the shell."""

    rows: list[Row]
    more: int = 7

    def listing(self) -> list[Row]:
        return self.rows

    def text(self) -> str:
        return f"{len(self.rows)} rows, {self.more} more"


def shown(result: Any, *columns: str, as_json: bool = False, encoding: str = "utf-8") -> tuple[str, str, int]:
    """What is written to standard output and to standard error, and the exit code."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline=""), io.StringIO()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sys, "stdout", out)
        patched.setattr(sys, "stderr", err)
        code = show(result, columns, as_json=as_json, empty="There is none.")
        out.flush()
    written: Any = out.buffer
    return written.getvalue().decode(encoding), err.getvalue(), code


@thorough
@given(documents())
def test_json_is_one_line_that_means_the_same_whatever_it_is_written_to(value: Any) -> None:
    for encoding in ("utf-8", "ascii"):
        out, err, code = shown(value, as_json=True, encoding=encoding)
        assert (json.loads(out), err, code) == ({} if value is None else value, "", Exit.DONE)
        assert out.endswith("\n")
        assert len(out.splitlines()) == 1


@settings(thorough, max_examples=40)
@given(st.lists(st.builds(Row, name=texts, size=st.integers(0, 2**40), running=st.booleans()), min_size=1, max_size=4))
def test_a_table_has_a_line_for_each_row_and_writes_over_nothing(rows: list[Row]) -> None:
    out, _err, code = shown(rows, "name", "running", "size", "age")
    head, *lines = out.splitlines()
    assert head.split() == ["NAME", "RUNNING", "SIZE", "AGE"]
    assert len(lines) == len(rows)
    assert {character for character in out if unicodedata.category(character) in UNSEEN} == {"\n"}
    for line, row in zip(lines, rows, strict=True):
        assert (" yes " in f"{line} ") >= row.running
    assert code == Exit.DONE


def test_cells_are_in_columns_and_what_is_unknown_is_blank() -> None:
    rows = [Row("a", 90.0, 2048, True), Row("longer", None, 5, False)]
    assert shown(rows, "name", "age", "size", "running")[0].splitlines() == [
        "NAME    AGE    SIZE     RUNNING",
        "a       1 min  2.0 KiB  yes",
        "longer         5 B      no",
    ]


def test_one_thing_is_its_fields_a_line_each_but_those_that_are_none() -> None:
    assert shown(Row("a\nb", None, 5))[0].splitlines() == [
        "name           a\\nb",
        "size           5 B",
        "running        no",
    ]


def test_nothing_is_shown_of_nothing_but_a_listing_that_is_empty_says_so() -> None:
    assert shown(None) == ("", "", Exit.DONE)
    for empty in ([], Listing([])):
        assert shown(empty, "name") == ("", "There is none.\n", Exit.DONE)
        assert shown(empty, "name", as_json=True) == ("[]\n", "", Exit.DONE)
    assert shown(None, as_json=True) == ("{}\n", "", Exit.DONE)


def test_what_is_a_listing_in_the_shell_is_an_array_to_a_program() -> None:
    listing = Listing([Row("a")])
    out = shown(listing, as_json=True)[0]
    assert [row["name"] for row in json.loads(out)] == ["a"]
    assert shown(listing)[0] == "1 rows, 7 more\n"


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Judged("a", True), Exit.DONE),
        (Judged("a", None), Exit.DONE),
        (Judged("a", False), Exit.REFUSED),
        ([Judged("a", True), Judged("b", None)], Exit.DONE),
        ([Judged("a", True), Judged("b", False), Judged("c", True)], Exit.REFUSED),
    ],
)
def test_one_that_did_not_come_out_well_makes_the_command_end_with_1(result: Any, code: int) -> None:
    for as_json in (False, True):
        assert shown(result, "name", "ok", as_json=as_json)[2] == code


def test_without_a_table_each_is_told_in_full_or_in_its_words() -> None:
    assert shown([Full("a"), Full("b")])[0] == "a\nand more\n\nb\nand more\n"
    assert shown([Said("a"), Said("b")])[0] == "a\nb\n"
    assert shown("as it is")[0] == "as it is\n"


def test_what_somebody_wrote_cannot_move_the_cursor() -> None:
    for result in (Said("a\x1b[2Jb"), [Said("a\x1b[2Jb")], [Full("a\x1b[2J")], "a\x1b]0;title\x07"):
        out = shown(result)[0]
        assert "\x1b" not in out
        assert "\x07" not in out


class Stream:
    """Things that come one by one."""

    def __init__(self, *items: Any) -> None:
        self._items, self.closed = iter(items), False

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        item = next(self._items)
        if isinstance(item, BaseException):
            raise item
        return item

    def close(self) -> None:
        self.closed = True


def test_a_stream_is_a_line_each_and_a_person_is_not_told_of_what_has_no_words() -> None:
    out, err, code = shown(Stream(Said("a"), Said(None), Said("b\x1bc")))
    assert (out.splitlines()[0], len(out.splitlines()), err, code) == ("a", 2, "", Exit.DONE)
    assert "\x1b" not in out
    out = shown(Stream(Said("a"), Said(None)), as_json=True)[0]
    assert [json.loads(line) for line in out.splitlines()] == [{"words": "a"}, {}]


def test_a_stream_is_closed_however_it_ends() -> None:
    ended = Stream(Said("a"))
    shown(ended)
    interrupted = Stream(Said("a"), KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        shown(interrupted)
    assert ended.closed
    assert interrupted.closed
