"""Arguments at the door: what is taken, what is refused, and that each refusal is a sentence."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core import arguments
from hive_core.errors import Invalid
from tests.properties import AWKWARD, documents, texts, thorough


@pytest.mark.parametrize("name", ["a", "coder", "a-b", "a1", "x" * 63, "manager"])
def test_names_that_are_taken(name: str) -> None:
    assert arguments.agent_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "a/b",
        "-x",
        "A",
        "x" * 64,
        "a\nb",
        "a\n",
        "a-",
        "1a",
        "a_b",
        "ä",
        "a b",
        "a\0",
        "*",
        "self",
        "operator",
        "system",
        "a\u200b",
        None,
        7,
        ["a"],
        {"a": 1},
        True,
    ],
)
def test_names_that_are_refused_with_a_sentence(name: object) -> None:
    with pytest.raises(Invalid) as refusal:
        arguments.agent_name(name)
    assert refusal.value.message.endswith(".")
    assert "\n" not in refusal.value.message


def test_the_manager_cannot_be_asked_for() -> None:
    with pytest.raises(Invalid, match="reserved"):
        arguments.new_agent_name("manager")


@pytest.mark.parametrize("value", ["main", "v1", "HEAD", "abc", "g" * 40, "a" * 41, "--all", "", "abcdef1\n", 1234567])
def test_only_hex_digits_name_a_commit(value: object) -> None:
    with pytest.raises(Invalid):
        arguments.sha(value)


@pytest.mark.parametrize("value", ["x", "", "1.5", "0", "-1", str(2**63), 10**30, True, None, "1e3", "١"])
def test_numbers_that_are_no_id(value: object) -> None:
    with pytest.raises(Invalid):
        arguments.integer(1, 2**63 - 1, "an id")(value)


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "x" * 11, 5])
def test_texts_that_are_refused(value: object) -> None:
    with pytest.raises(Invalid):
        arguments.text(10, "the note")(value)


@pytest.mark.parametrize(("value", "meant"), [(True, True), ("on", True), ("false", False), (False, False)])
def test_flags(value: object, meant: bool) -> None:
    assert arguments.flag(value) is meant


@pytest.mark.parametrize("value", [1, "yes", None, []])
def test_what_is_neither_true_nor_false(value: object) -> None:
    with pytest.raises(Invalid):
        arguments.flag(value)


@thorough
@given(st.text(alphabet="aZz09-_./* \n\u00e4", max_size=66) | st.integers(60, 66).map(lambda count: "a" * count))
def test_a_name_is_taken_exactly_if_it_is_one(name: str) -> None:
    letters = "abcdefghijklmnopqrstuvwxyz"
    is_one = 1 <= len(name) <= 63 and name[0] in letters and set(name) <= set(letters + "0123456789-")
    if is_one and not name.endswith("-"):
        assert arguments.agent_name(name) == name
    else:
        with pytest.raises(Invalid, match="not a name"):
            arguments.agent_name(name)


@thorough
@given(st.integers(-(2**70), 2**70), st.integers(-50, 50), st.integers(0, 100))
def test_a_whole_number_is_taken_however_it_is_spelt_and_only_within_its_bounds(
    number: int, least: int, more: int
) -> None:
    check = arguments.integer(least, least + more, "the limit")
    for value in (number, least, least + more):
        spellings: list[Any] = [value, str(value), f" {value}.0 "]
        spellings += [float(value)] if abs(value) < 2**53 else []
        for spelt in spellings:
            if least <= value <= least + more:
                assert check(spelt) == value
            else:
                with pytest.raises(Invalid, match="from"):
                    check(spelt)


@thorough
@given(documents().filter(lambda value: not isinstance(value, str)))
def test_a_number_is_nothing_else(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        with pytest.raises(Invalid, match="is not the limit"):
            arguments.integer(-(2**60), 2**60, "the limit")(value)


@thorough
@given(texts, st.integers(0, 60))
def test_a_text_is_taken_as_it_is_or_refused_for_its_length_or_what_it_holds(body: str, most: int) -> None:
    size = len(body.encode())
    odd = set(body) & set("\x00\x1b\x7f")
    check = arguments.text(most, "the note", empty=True)
    if size <= most and not odd:
        assert check(body) == body
    else:
        with pytest.raises(Invalid, match=f"at most {most} are taken" if size > most else "control character"):
            check(body)


def test_every_control_character_but_those_of_lines_is_refused_by_its_name() -> None:
    check = arguments.text(100, "the note")
    for code in [*range(0x20), *range(0x7F, 0xA0)]:
        if chr(code) in "\t\n\r":
            assert check(f"a{chr(code)}b") == f"a{chr(code)}b"
        else:
            with pytest.raises(Invalid, match="holds the control character") as refused:
                check(f"a{chr(code)}b")
            assert refused.value.message.isascii()


@pytest.mark.parametrize("value", ["", "  \n"])
def test_a_text_that_says_nothing_is_refused_where_one_is_needed(value: str) -> None:
    with pytest.raises(Invalid, match="The note is empty"):
        arguments.text(10, "the note")(value)
    assert arguments.text(10, "the note", empty=True)(value) == value


@thorough
@given(st.lists(st.text(alphabet=AWKWARD, max_size=6), max_size=4))
def test_a_list_may_come_as_the_json_text_of_one(values: list[str]) -> None:
    for given_ in (values, tuple(values), json.dumps(values), f"  {json.dumps(values)}"):
        assert arguments.items(given_, "names") == values


@pytest.mark.parametrize("value", ["coder", "[", "{}", '"x"', "[" * 5000, 7, None, {"a": 1}, True])
def test_what_is_no_list_is_refused_with_how_one_is_written(value: object) -> None:
    with pytest.raises(Invalid, match="names is a list") as refused:
        arguments.items(value, "names")
    assert refused.value.hint == 'A list is written ["one", "two"].'


@thorough
@given(documents(), st.sampled_from(["boolean", "integer", "string", ["string", "integer"]]))
def test_to_the_letter_a_value_is_of_its_json_type_or_refused(value: Any, kind: Any) -> None:
    its = {bool: "boolean", int: "integer", str: "string"}.get(type(value), "another")
    if its in kind:
        arguments.require_json_type(value, {"type": kind}, "id")
    else:
        with pytest.raises(Invalid, match="id is of the JSON type "):
            arguments.require_json_type(value, {"type": kind}, "id")
