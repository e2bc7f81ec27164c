"""Text from agents is printed as text: what could act on a terminal or fool a reader is written out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from hive_core.text import ascii_json, indented, one_line, safe_json, visible
from tests.properties import documents, texts, thorough


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


@thorough
@given(texts)
def test_what_is_shown_can_be_printed_and_is_shown_again_as_it_is(text: str) -> None:
    shown = visible(text)
    assert all(character.isprintable() or character in "\n\t" for character in shown)
    assert shown.count("\n") == text.count("\n")
    assert visible(shown) == shown
    assert one_line(text).isprintable()


@thorough
@given(documents())
def test_a_document_means_the_same_when_it_is_made_safe(value: object) -> None:
    document = json.dumps(value, ensure_ascii=False)
    assert json.loads(safe_json(document)) == value
    assert json.loads(ascii_json(document)) == value
    assert visible(safe_json(document)) == safe_json(document)
    assert ascii_json(document).isascii()


@thorough
@given(texts)
def test_what_is_set_off_can_pass_for_nothing_that_hive_says(text: str) -> None:
    lines = indented(text).split("\n")
    assert all(line.startswith("  | ") for line in lines)
    assert "\n".join(line.removeprefix("  | ") for line in lines) == text
