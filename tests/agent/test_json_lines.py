"""A JSON object per line: what a CLI writes is read, and whatever else stands there is nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.runners.json_lines import dump, items, number, parse, table
from tests.properties import documents, texts, thorough


@thorough
@given(st.dictionaries(texts, documents(), max_size=3))
def test_an_object_is_one_line_that_is_read_back(value: dict[str, Any]) -> None:
    line = dump(value)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse(line) == value


@pytest.mark.parametrize("line", [b"", b"[]", b"7", b'"x"', b"null", b"{", b"\xff{}", b"[" * 100_000, b'{"a":1}{}'])
def test_a_line_that_is_no_object_is_none(line: bytes) -> None:
    assert parse(line) is None


@thorough
@given(documents())
def test_a_part_is_of_the_form_that_was_expected_or_empty(value: Any) -> None:
    assert table(value) == (value if isinstance(value, dict) else {})
    assert items(value) == (value if isinstance(value, list) else [])
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    assert number(value) == (value if is_number else None)


def test_a_number_that_nobody_can_wait_for_is_none() -> None:
    # What Python reads from JSON, and cannot be calculated with.
    for text in (b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1' + b"0" * 400 + b"}"):
        assert number((parse(text) or {})["a"]) is None
