"""Lines from a stream that may send anything: each whole one once, and usable again after one that was too long."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_faces.gate import lines as gate_lines
from hive_faces.gate.lines import Lines, LineTooLong
from tests.properties import thorough

MOST = 8


def read(pieces: list[bytes]) -> list[bytes | str]:
    """What a stream that sends these pieces gives, a word for each line that was too long."""

    async def all_of_it() -> list[bytes | str]:
        reader = asyncio.StreamReader()
        lines, found, waiting = Lines(reader), [], list(pieces)
        while True:
            # One piece at a time, as they come over a socket.
            coming = asyncio.ensure_future(lines.next())
            while not coming.done():
                await asyncio.sleep(0)
                if waiting:
                    reader.feed_data(waiting.pop(0))
                elif not reader.at_eof():
                    reader.feed_eof()
            try:
                line = coming.result()
            except LineTooLong as error:
                found.append("too long" if str(MOST) in str(error) else f"{error}")
            else:
                if line is None:
                    return found
                found.append(line)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gate_lines, "MOST_LINE_BYTES", MOST)
        return asyncio.run(all_of_it())


def expected(text: bytes) -> list[bytes | str]:
    """The whole lines of a text, each without what is blank before it."""
    found: list[bytes | str] = []
    for line in text.split(b"\n")[:-1]:
        if line.strip():
            found.append(line.lstrip() if len(line.lstrip()) <= MOST else "too long")
    return found


@thorough
@given(st.lists(st.text(alphabet="ab \r\n\t", min_size=1, max_size=14).map(str.encode), max_size=8))
def test_every_whole_line_comes_once_however_it_is_cut_into_pieces(pieces: list[bytes]) -> None:
    assert read(pieces) == expected(b"".join(pieces))


def test_what_has_no_end_is_no_line() -> None:
    assert read([b"one\ntw"]) == [b"one"]
    assert read([b"x" * 30]) == []


def test_after_a_line_that_is_too_long_the_next_one_is_read() -> None:
    assert read([b"x" * 9 + b"\nnext\n"]) == ["too long", b"next"]
    assert read([b"x" * 20, b"x" * 20, b"x\nnext\n", b"x" * 8 + b"\n"]) == ["too long", b"next", b"x" * 8]


def test_much_that_is_blank_is_skipped_and_counts_for_no_line() -> None:
    assert read([b" " * 100, b"\n" * 100, b"  a\n"]) == [b"a"]
