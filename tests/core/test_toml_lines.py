"""On which line of a TOML text each key stands, which a refusal names."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hive_core.toml_lines import key_lines
from hive_core.toml_text import dumps
from tests.properties import texts, thorough, words

# Tables as a file of settings holds them: plain values and lists, two tables deep.
values = st.booleans() | st.integers(-9, 9999) | texts | st.lists(texts, max_size=3)
tables = st.dictionaries(words, values | st.dictionaries(words, values, max_size=3), max_size=5)


@thorough
@given(tables)
def test_every_key_of_a_file_is_found_on_its_line(table: dict[str, Any]) -> None:
    text = dumps(table)
    found = key_lines(text)
    expected = {(key,) for key in table}
    expected |= {(key, inner) for key, value in table.items() if isinstance(value, dict) for inner in value}
    assert set(found) == expected
    for path, number in found.items():
        line = text.split("\n")[number - 1]
        # The last part stands there, as a key or as the header of its table.
        assert line.startswith((f"{path[-1]} =", f"[{path[-1]}]"))


@thorough
@given(st.text(alphabet="ab.=[]{}\"'\\ \t\n#,1é", max_size=60))
def test_whatever_a_text_is_each_line_that_is_named_is_one_of_its_lines(text: str) -> None:
    count = text.count("\n") + 1
    assert all(1 <= number <= count for number in key_lines(text).values())


def test_a_key_is_known_by_its_table_however_that_is_written() -> None:
    text = 'a.b = 1\n[c . "d e"]\n  f=2\n[[g]]\nh = 3\n[[g]]\nh = 4\n'
    tomllib.loads(text)
    assert key_lines(text) == {("a", "b"): 1, ("c", "d e"): 2, ("c", "d e", "f"): 3, ("g",): 4, ("g", "h"): 5}


def test_what_stands_in_a_text_over_several_lines_is_no_key() -> None:
    text = 'a = """\nb = 1\n[c]\n"""\nd = \'\'\'x\n"""\ne = 2\'\'\'\nf = 3\n'
    assert tomllib.loads(text).keys() == {"a", "d", "f"}
    assert key_lines(text) == {("a",): 1, ("d",): 5, ("f",): 8}
