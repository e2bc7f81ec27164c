"""The door of every operation: whatever a caller gives, it is taken as it is declared or refused in a sentence."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.arguments import Also, Description, Limit
from hive_core.caller import Role
from hive_core.errors import Invalid
from hive_core.operation import BARE, OPERATOR, REGISTRY, Needed, Operation, operation
from hive_faces.verbs import everything
from tests.properties import documents, texts, thorough

ALL = sorted(everything().values(), key=lambda each: each.name)
# What models and clients send, and what a shell does: much of it nearly right.
values = st.one_of(
    documents(),
    texts,
    st.sampled_from(
        ["coder", "manager", "*", "../x", "abcdef1", "1", "1.0", "-1", "true", '["coder"]', "[", 1, 0, 2**64]
    ),
    st.lists(st.sampled_from(["coder", "operator", 1, None, "hive"]), max_size=3),
)


@st.composite
def calls(draw: st.DrawFn) -> tuple[Operation, Role | None, bool, dict[str, Any]]:
    """An operation, who calls it, whether to the letter, and arguments that are mostly its own."""
    which = draw(st.sampled_from(ALL))
    names = [name for each in which.parameters for name in (each.name, each.also) if name] + ["verbose"]
    raw = draw(st.dictionaries(st.sampled_from(names), values, max_size=4))
    return which, draw(st.sampled_from([None, *Role])), draw(st.booleans()), raw


@thorough
@given(calls())
def test_what_is_given_is_taken_as_declared_or_refused_in_a_sentence(
    call: tuple[Operation, Role | None, bool, dict[str, Any]],
) -> None:
    which, role, strict, raw = call
    try:
        parsed = which.parse(raw, role, strict=strict)
    except Invalid as refused:
        said = refused.message
    else:
        known = {each.name: each for each in (which.parameters if role is None else which.offered(role))}
        assert set(parsed) <= set(known)
        assert all(name in parsed for name, each in known.items() if each.required)
        # What has been checked once is taken again as it is.
        assert which.parse(parsed, role) == parsed
        return
    assert said.endswith(".")
    assert "\x1b" not in said
    assert "\n" not in said


@thorough
@given(st.sampled_from(ALL), st.sampled_from([*Role]))
def test_to_whom_an_argument_is_not_offered_it_does_not_exist(which: Operation, role: Role) -> None:
    for parameter in which.parameters:
        if role in parameter.callers:
            continue
        why = "is for the shell only" if not parameter.callers else "takes no"
        with pytest.raises(Invalid, match=why):
            which.parse({parameter.name: "x"}, role)


def declared(function: Any, **more: Any) -> Operation:
    """An operation as it would be declared, which nobody finds."""
    operation(callers=OPERATOR, group="Agents", **more)(function)
    return REGISTRY.pop(function.__name__.rstrip("_"))


def try_(hive: Any, note: Description, limit: Limit = 5, also: bool = False) -> None:
    """Try something out. For a test.

    note: what about,
        in some words
    limit: how much of it
    """


def test_a_declaration_is_read_from_the_function_itself() -> None:
    found = declared(try_)
    assert (found.name, found.verb, found.summary) == ("try", "try", "Try something out. For a test.")
    assert [(each.name, each.required, each.default, each.positional, each.help) for each in found.parameters] == [
        ("note", True, None, True, "what about, in some words"),
        ("limit", False, 5, False, "how much of it"),
        ("also", False, False, False, ""),
    ]
    assert found.parse({"note": "x", "limit": None}) == {"note": "x"}
    assert [each.flag for each in found.parameters] == ["--note", "--limit", "--also"]


def marked(
    hive: Any, names: Annotated[list[Description], Also("labels"), Needed(OPERATOR), BARE] | None = None
) -> None:
    """Have marks."""


def test_marks_beside_a_kind_say_who_must_give_it_and_by_which_names() -> None:
    found = declared(marked)
    (names,) = found.parameters
    assert (names.also, names.many, names.positional, names.flag) == ("labels", True, True, "--name")
    assert found.parse({"labels": ["a"]}, Role.OPERATOR) == {"names": ["a"]}
    with pytest.raises(Invalid, match="marked needs names"):
        found.parse({}, Role.OPERATOR)
    assert found.parse({}, Role.AGENT) == {}
    with pytest.raises(Invalid, match="takes names once, by whichever name"):
        found.parse({"labels": ["a"], "names": ["b"]}, Role.OPERATOR)
    with pytest.raises(Invalid, match="names is a list"):
        found.parse({"names": "a"}, Role.OPERATOR, strict=True)
    # As models send one now and then.
    assert found.parse({"names": '["a"]'}, Role.OPERATOR) == {"names": ["a"]}


def test_two_operations_of_one_name_are_a_bug() -> None:
    def start(hive: Any) -> None:
        """Start another way."""

    with pytest.raises(AssertionError, match="two operations are called start"):
        operation(callers=OPERATOR, group="Agents")(start)


def test_an_argument_of_no_kind_is_a_bug() -> None:
    def odd(hive: Any, name: str) -> None:
        """Be odd."""

    with pytest.raises(AssertionError, match="names no kind of argument"):
        _ = declared(odd).parameters
