"""Values written as TOML: tomllib reads back what was written."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from hive_core.toml_text import dumps
from tests.properties import texts, thorough

numbers = st.integers(-(2**60), 2**60) | st.floats(allow_nan=False)
values = st.recursive(st.booleans() | numbers | texts, lambda inner: st.lists(inner, max_size=3), max_leaves=4)
tables = st.recursive(
    st.dictionaries(texts, values, max_size=3), lambda inner: st.dictionaries(texts, inner | values, max_size=3)
)


@thorough
@given(tables)
@example({"mcp_servers": {"one": {"command": "a", "args": [], "environment": {"K": ""}}, "two": {"command": "b"}}})
@example({"empty": {}, "after": 1})
@example({"environment": {"A.B": "x", 'odd "key"': "y", "": "z"}})
def test_what_is_written_is_read_back_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table


def test_a_table_stands_behind_the_values_beside_it() -> None:
    assert dumps({"inner": {"b": 1}, "a": True}) == "a = true\n\n[inner]\nb = 1\n"
