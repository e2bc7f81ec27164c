"""Text from agents is printed as text: what could act on a terminal or fool a reader is written out."""

from __future__ import annotations

import pytest

from hive_core.text import one_line, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ä 漢 🙂\n\tok", "plain ä 漢 🙂\n\tok"),
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("a\rb", "a\\x0db"),
        ("\x9b31m", "\\x9b31m"),
        ("a\u202eb\u2066c", "a\\u{202e}b\\u{2066}c"),
        ("zero\u200bwidth\ufeff", "zero\\u{200b}width\\u{feff}"),
        ("hangul\u3164filler", "hangul\\u{3164}filler"),
        ("tag\U000e0041", "tag\\u{e0041}"),
        ("lone\ud800", "lone\\u{d800}"),
        ("line\u2028sep", "line\\u{2028}sep"),
    ],
)
def test_what_is_seen(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_a_table_cell_stays_on_its_line() -> None:
    assert one_line("a\nb\tc") == "a\\nb\\tc"
