"""TOML of an agent's, read at a cost that it does not choose: what is too large, long or deep is not parsed."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.bounded_toml import MOST_PARTS, MOST_TOML_BYTES, loads, overlong_key
from tests.properties import thorough

parts = st.sampled_from(["a", "b-1", '"c.d"', "'e'", '"\\""'])
strings = st.sampled_from(['"x.y"', '"""a.a\n.b"""', "'''\n\n'''", "'#'", "1 # a.b.c", "[1,\n2]"])


@thorough
@given(st.lists(st.tuples(parts, strings), max_size=4), st.integers(2, 40))
def test_a_key_of_too_many_parts_is_found_on_its_line_whatever_stands_before_it(
    before: list[tuple[str, str]], count: int
) -> None:
    text = "".join(f"{key}{number} = {value}\n" for number, (key, value) in enumerate(before) if key[0] in "ab")
    long = f"{text}{'.'.join(['k'] * count)} = 1\n"
    assert overlong_key(text) is None
    assert overlong_key(long) == (text.count("\n") + 1 if count > MOST_PARTS else None)
    if count <= MOST_PARTS:
        assert loads(long) == tomllib.loads(long)
    else:
        with pytest.raises(ValueError, match=f"line {text.count(chr(10)) + 1} has more than {MOST_PARTS} parts"):
            loads(long)


def test_it_is_found_wherever_and_however_a_key_may_stand() -> None:
    for place in ("[{}]", "[[{}]]", "x = {{ {} = 1 }}", "{} = 1"):
        for dot in (".", " . ", "\t."):
            for part in ("a", '"a"', "'a'"):
                assert overlong_key(place.format(dot.join([part] * (MOST_PARTS + 1)))) == 1
                assert overlong_key(place.format(dot.join([part] * MOST_PARTS))) is None


def test_dots_in_texts_and_comments_are_no_keys() -> None:
    long = ".".join("a" * 100)
    for text in (f'x = "{long}"', f"x = '{long}'", f'x = """\n{long}\n"""', f"# {long}", f"x = 1 # {long}"):
        assert overlong_key(text) is None
        loads(text)


def test_a_text_that_nobody_ends_hides_nothing_that_would_be_parsed() -> None:
    # tomllib gives up where such a text begins.
    for text in ('x = """', "x = '''"):
        with pytest.raises(ValueError, match="at end of document"):
            loads(f"{text}\n{'.'.join('a' * 1000)} = 1")


def test_what_is_larger_than_is_read_is_refused_by_its_bytes() -> None:
    loads("# " + "x" * (MOST_TOML_BYTES - 2))
    with pytest.raises(ValueError, match="larger than 64 KiB"):
        loads("# " + "é" * (MOST_TOML_BYTES // 2))


@thorough
@given(st.text(alphabet="a.\"'\\\n#= []{}1", max_size=60))
def test_whatever_is_written_is_read_as_toml_or_refused(text: str) -> None:
    try:
        expected = tomllib.loads(text)
    except ValueError:
        with pytest.raises(ValueError, match=r"\(at |has more than"):
            loads(text)
    else:
        assert loads(text) == expected
