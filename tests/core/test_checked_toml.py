"""TOML that is checked by a schema: whatever a file holds, it is taken or refused by file, line and key."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.checked_toml import load, one_of, text_of, value_of, whole
from hive_core.errors import Refused
from hive_core.toml_text import dumps
from tests.properties import texts, thorough, words

SCHEMA: dict[str, Any] = {
    "pronouns": text_of,
    "note": value_of,
    "count": whole(1, 9),
    "backend": one_of(("local", "nixos")),
    "ports": lambda checker, value, path: checker.table(value, path, {"first": whole(1024, 65535)}),
    "services": lambda checker, value, path: checker.named(
        value, path, re.compile("[a-z]+"), text_of, "a name is of a-z"
    ),
}
scalars = st.booleans() | st.integers(-3, 70000) | texts | st.floats() | st.lists(texts, max_size=2)
keys = st.sampled_from([*SCHEMA, "first", "phone", "Phone", "pronuns"])


def checked(text: str) -> dict[str, Any]:
    checker, table = load(text, "some.toml", Refused)
    return checker.table(table, (), SCHEMA)


def tried(text: str) -> tuple[dict[str, Any] | None, str]:
    """What a text holds, or what it is refused for."""
    try:
        return checked(text), ""
    except Refused as error:
        return None, error.message


def refused(text: str) -> str:
    with pytest.raises(Refused) as error:
        checked(text)
    return error.value.message


@thorough
@given(st.dictionaries(keys, scalars | st.dictionaries(keys, scalars, max_size=2), max_size=3))
def test_a_table_is_taken_as_it_is_or_refused_by_the_line_of_a_key_that_it_has(table: dict[str, Any]) -> None:
    text = dumps(table)
    values, said = tried(text)
    if values is not None:
        assert values == table
        return
    found = re.fullmatch(r"some\.toml, line (\d+): (\S+) .+\.", said, re.DOTALL)
    assert found, said
    named = found[2].split(".")[-1]
    assert text.split("\n")[int(found[1]) - 1].startswith((f"{named} =", f"[{named}]", f'"{named}" ='))


@thorough
@given(st.text(alphabet="ab1.=[]{}\"'\\,\n #-:éT\x00\ufeff", max_size=40))
def test_whatever_is_written_is_read_or_refused_in_one_sentence_with_the_name_of_the_file(text: str) -> None:
    values, said = tried(text)
    assert values is not None or re.match(r"some\.toml(, line \d+)?[: ]", said)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("count = 0", "some.toml, line 1: count is 0; give a whole number from 1 to 9."),
        ("count = true", "some.toml, line 1: count is true; give a whole number from 1 to 9."),
        ("count = 1.0", "some.toml, line 1: count is 1.0; give a whole number from 1 to 9."),
        ('\nbackend = "docker"', 'some.toml, line 2: backend is "docker"; give one of local, nixos.'),
        ('pronouns = ""', 'some.toml, line 1: pronouns is ""; give a text that is not empty and holds no NUL.'),
        ("note = 7", "some.toml, line 1: note is 7; give a text without NUL, in quotes."),
        ("[ports]\nfist = 1", "some.toml, line 2: ports.fist is not a key hive knows; perhaps it is first."),
        ("[ports]\nx = 1", "some.toml, line 2: ports.x is not a key hive knows; it knows first."),
        ("ports = 1", "some.toml, line 1: ports is 1; give a table of first."),
        ("services = []", "some.toml, line 1: services is []; give a table."),
        ('[services]\nA = "x"', "some.toml, line 2: services.A has a name that cannot be; a name is of a-z."),
        ("count = 1979-05-27", 'some.toml, line 1: count is "1979-05-27"; give a whole number from 1 to 9.'),
        (f"count = {'1' * 90}", f"some.toml, line 1: count is {'1' * 76}...; give a whole number from 1 to 9."),
    ],
)
def test_a_refusal_says_what_is_there_and_what_to_give(text: str, sentence: str) -> None:
    assert refused(text) == sentence


def test_an_error_of_syntax_is_told_with_its_line_also_at_the_end_of_the_file() -> None:
    assert refused("count = 1\nnote =\n").startswith("some.toml, line 2: this is not TOML: ")
    assert refused("count = 1\n\nnote = [").startswith("some.toml, line 3: this is not TOML: ")


def test_what_is_too_much_to_read_is_not_read() -> None:
    assert refused(f"note = '{'é' * 33_000}'") == "some.toml is larger than 64 KiB."
    assert "this key has more than 16 parts" in refused("\n" + ".".join("a" * 17) + " = 1")
    assert refused("note = " + "[" * 5_000).startswith("some.toml")
    assert refused(f"count = {'9' * 5_000}").startswith("some.toml")


def test_a_mark_that_an_editor_begins_a_file_with_is_no_part_of_it() -> None:
    assert checked("\ufeffcount = 3") == {"count": 3}


@thorough
@given(st.lists(words, min_size=1, max_size=4))
def test_a_line_is_that_of_the_key_or_of_what_holds_it(path: list[str]) -> None:
    checker, _ = load(f"# x\n[{path[0]}]\n", "some.toml", Refused)
    assert checker.line(tuple(path)) == 2
    assert checker.line(("other",)) == 1


def test_a_number_of_more_digits_than_are_ever_written_out_is_refused_all_the_same() -> None:
    checker, _ = load("", "some.toml", Refused)
    with pytest.raises(Refused, match="is a number of thousands of digits; give less"):
        checker.wrong(10**5000, ("count",), "give less")
    with pytest.raises(Refused, match=json.dumps("a\nb").replace("\\", r"\\")):
        checker.wrong("a\nb", ("note",), "give less")
