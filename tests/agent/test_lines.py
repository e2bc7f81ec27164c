"""Lines out of bytes that come in pieces, whatever the pieces are."""

from __future__ import annotations

import pytest

from hive_agent.lines import LineBuffer

TEXT = b"one\n\ntwo and more\nrest"


@pytest.mark.parametrize("size", range(1, len(TEXT) + 1))
def test_lines_are_the_same_however_they_are_cut_into_pieces(size: int) -> None:
    buffer = LineBuffer()
    pieces = [TEXT[at : at + size] for at in range(0, len(TEXT), size)]
    assert [line for piece in pieces for line in buffer.feed(piece)] == [b"one", b"", b"two and more"]
    assert buffer.take_rest() == b"rest"
    assert buffer.take_rest() == b""


@pytest.mark.parametrize("text", [b"12345\n", b"12345", b"1\n12345\n2\n"])
def test_a_line_that_is_too_long_is_refused_whether_or_not_it_has_ended(text: bytes) -> None:
    assert LineBuffer(5).feed(text) is not None
    with pytest.raises(ValueError, match="longer than 4 bytes"):
        LineBuffer(4).feed(text)
