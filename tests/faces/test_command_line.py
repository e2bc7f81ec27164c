"""Command lines: each declaration is a subcommand that takes what the declaration says, and hands it on as it was typed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hive_core.errors import Exit
from hive_core.operation import OPERATOR, Operation, Parameter
from hive_faces.shell import command_line
from hive_faces.verbs import command, everything
from tests.properties import thorough

SHOWN = [operation for operation in everything().values() if operation.callers & OPERATOR]
# What no program can be given as an argument is none, and what begins with '-' is an option unless it stands for itself.
word = st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=8)


class Performed:
    """What a command line has asked for."""

    def __init__(self, code: int = 0) -> None:
        self.code = code
        self.calls: list[tuple[str, dict[str, Any], bool, bool]] = []

    def __call__(self, operation: Operation, given: dict[str, Any], as_json: bool, yes: bool) -> int:
        self.calls.append((operation.name, given, as_json, yes))
        return self.code


@st.composite
def lines(draw: st.DrawFn) -> tuple[Operation, list[str], dict[str, Any]]:
    """An operation, words that a person may type for it, and what these mean."""
    operation = draw(st.sampled_from(SHOWN))
    options: list[list[str]] = []
    standing: list[str] = []
    meant: dict[str, Any] = {}
    for parameter in operation.parameters:
        if not parameter.kind.metavar:
            meant[parameter.name] = draw(st.booleans())
            if meant[parameter.name]:
                options.append([parameter.flag])
        elif parameter.required or parameter.positional:
            # Whatever may be left away comes last, so that all before it have to be given.
            values = draw(st.lists(word, min_size=1, max_size=3 if parameter.many else 1))
            standing += values
            meant[parameter.name] = values if parameter.many else values[0]
        elif draw(st.booleans()):
            values = draw(st.lists(word, min_size=1, max_size=3 if parameter.many else 1))
            options += [[f"{parameter.flag}={value}"] for value in values]
            meant[parameter.name] = values if parameter.many else values[0]
    options = draw(st.permutations(options))
    return operation, [*(part for option in options for part in option), "--", *standing], meant


def many_last(parameters: tuple[Parameter, ...]) -> bool:
    """Whether only the last of what stands for itself may be several."""
    standing = [each for each in parameters if each.kind.metavar and (each.required or each.positional)]
    return not any(each.many for each in standing[:-1])


@settings(thorough, max_examples=60)
@given(lines(), st.booleans())
def test_what_is_typed_is_what_is_performed(line: tuple[Operation, list[str], dict[str, Any]], as_json: bool) -> None:
    operation, words, meant = line
    assume(many_last(tuple(operation.parameters)))
    performed = Performed()
    assert command_line.run([command(operation), *(["--json"] if as_json else []), *words], performed) == Exit.DONE
    assert performed.calls == [(operation.name, meant, as_json, False)]


def test_no_operation_takes_several_of_what_is_not_the_last() -> None:
    assert all(many_last(tuple(operation.parameters)) for operation in SHOWN)


@pytest.mark.parametrize("code", [Exit.DONE, Exit.REFUSED, 130])
def test_how_it_ended_is_what_the_command_ends_with(code: int) -> None:
    assert command_line.run(["list"], Performed(code)) == code


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["--nonsense"],
        ["list", "--nonsense"],
        ["kill"],
        ["kill", "a", "b"],
        ["kill", "--yes", "a"],
        ["send", "coder"],
        ["recent", "--limit"],
        ["list", "--json=yes"],
        ["--completion", "tcsh"],
    ],
)
def test_what_is_not_understood_is_performed_by_nobody(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    performed = Performed()
    assert command_line.run(words, performed) == Exit.USAGE
    assert performed.calls == []
    said = capsys.readouterr()
    assert said.out == ""
    assert "Error" in said.err


def test_only_what_destroys_can_be_told_not_to_ask(capsys: pytest.CaptureFixture[str]) -> None:
    for operation in SHOWN:
        arguments = ["x" for each in operation.parameters if each.kind.metavar and each.required]
        performed = Performed()
        code = command_line.run([command(operation), "--yes", *arguments], performed)
        if operation.confirm:
            assert (code, [call[3] for call in performed.calls]) == (Exit.DONE, [True]), operation.name
        else:
            assert (code, performed.calls) == (Exit.USAGE, []), operation.name
    capsys.readouterr()
