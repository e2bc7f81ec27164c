"""A journal as its supervisor writes it: every byte once, in lines of bounded length that hive's own are not among."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.local import journal_writer
from hive_core.containers.local.journal_writer import OWN, JournalWriter
from tests.properties import thorough

MOST = 8


def written(pieces: list[bytes], *, most: int = MOST) -> list[bytes]:
    """The lines of a journal that was fed these pieces, without their time."""
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_writer, "LINE_BYTES", most)
        writer = JournalWriter(f"{folder}/journal")
        for piece in pieces:
            writer.feed(piece)
        writer.flush()
        lines = Path(folder, "journal").read_bytes().splitlines(keepends=True)
    assert all(re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [^\n]*\n", line) for line in lines)
    return [line[25:-1] for line in lines]


pieces = st.lists(st.text(alphabet="ab:\x00 \n", max_size=20).map(str.encode), max_size=6)


@thorough
@given(pieces)
def test_whatever_comes_in_whatever_pieces_is_kept_byte_for_byte(fed: list[bytes]) -> None:
    whole = b"".join(fed)
    found = written(fed)
    assert all(len(line) <= MOST for line in found)
    # A line that is too long is cut where it is full; nothing else is added or lost.
    assert b"".join(found) == whole.replace(b"\n", b"")
    assert len(found) >= whole.count(b"\n")


@thorough
@given(pieces)
def test_short_lines_are_the_same_lines(fed: list[bytes]) -> None:
    expected = b"".join(fed).split(b"\n")
    assert written(fed, most=1000) == (expected if expected[-1] else expected[:-1])


def test_what_would_pass_for_a_line_of_hive_s_own_gets_a_blank(tmp_path: Path) -> None:
    assert written([OWN + b"x\n", b"a" + OWN + b"\n"], most=1000) == [b" " + OWN + b"x", b"a" + OWN]
    # Also one that only begins so because a long line was cut there.
    assert written([b"x" * MOST + OWN + b"\n"])[1].startswith(b" hive: ")


def test_a_word_of_hive_s_own_ends_what_was_unfinished_and_is_one_line(tmp_path: Path) -> None:
    writer = JournalWriter(str(tmp_path / "journal"))
    writer.feed(b"half a line")
    writer.say("it was\nkilled \udcff")
    lines = [line[25:] for line in (tmp_path / "journal").read_bytes().splitlines()]
    assert lines == [b"half a line", OWN + b"it was killed \\udcff"]
    assert writer.last == lines


def test_a_journal_that_is_full_becomes_the_older_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "FILE_BYTES", 100)
    writer = JournalWriter(str(tmp_path / "journal"))
    for number in range(6):
        writer.feed(b"line %d\n" % number)
    assert [path.stat().st_size <= 100 for path in sorted(tmp_path.iterdir())] == [True, True]
    kept = b"".join((tmp_path / name).read_bytes() for name in ("journal.1", "journal"))
    # Of two files the newest lines; those before them have gone with the older one.
    assert [line[25:] for line in kept.splitlines()] == [b"line %d" % number for number in range(6)][
        -len(kept.splitlines()) :
    ]
    assert kept.splitlines()[-1].endswith(b"line 5")


def test_the_newest_few_lines_are_remembered_for_who_asks_why_it_ended(tmp_path: Path) -> None:
    writer = JournalWriter(str(tmp_path / "journal"))
    writer.feed(b"".join(b"%d\n" % number for number in range(9)))
    writer.feed(b"nine\n")
    assert writer.last == [b"5", b"6", b"7", b"8", b"nine"]


def test_a_line_that_a_killed_writer_left_open_is_ended_by_the_next(tmp_path: Path) -> None:
    (tmp_path / "journal").write_bytes(b"2026-01-31T14:30:00.000Z torn")
    JournalWriter(str(tmp_path / "journal")).feed(b"new\n")
    lines = (tmp_path / "journal").read_bytes().splitlines()
    assert lines[0].endswith(b"torn")
    assert lines[1].endswith(b" new")


def test_what_was_fed_is_counted_with_what_hive_adds_to_it(tmp_path: Path) -> None:
    writer = JournalWriter(str(tmp_path / "journal"))
    assert writer.feed(b"half") == 0
    assert writer.feed(b" a line\n\n") == len("2026-01-31T14:30:00.000Z half a line\n2026-01-31T14:30:00.000Z \n")
