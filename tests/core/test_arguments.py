"""Arguments at the door: what is taken, what is refused, and that each refusal is a sentence."""

from __future__ import annotations

import pytest

from hive_core import arguments
from hive_core.errors import Invalid


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
