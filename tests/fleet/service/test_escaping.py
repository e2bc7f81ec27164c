"""Values in systemd's units: read by systemd's own rules, they are what they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.errors import Refused
from hive_fleet.service import escaping
from tests.properties import AWKWARD, thorough

# Without NUL, which no argument can hold.
plain = st.text(alphabet=AWKWARD.replace("\x00", ""), min_size=1, max_size=12)


def words_of(line: str) -> list[str]:
    """The words of a line as systemd takes it apart: in quotes, with C's escapes (systemd.syntax(7))."""
    assert re.fullmatch(r'"(?:[^"\\\n]|\\.)*"(?: "(?:[^"\\\n]|\\.)*")*', line), line
    return [_unescaped(word) for word in re.findall(r'"((?:[^"\\]|\\.)*)"', line)]


def _unescaped(text: str) -> str:
    one = re.sub(r"\\(?:x([0-9a-f]{2})|(.))", lambda found: chr(int(found[1], 16)) if found[1] else found[2], text)
    # Specifiers are expanded where they stand: two of them are one (systemd.unit(5)).
    assert not re.search(r"(?<!%)(?:%%)*%(?!%)", one), text
    return one.replace("%%", "%")


@thorough
@given(st.lists(plain, min_size=1, max_size=4))
def test_each_word_of_a_command_is_one_word_and_nothing_in_it_is_a_variable(words: list[str]) -> None:
    found = words_of(escaping.command(*words))
    if "$" in words[0]:
        # In the program's own path no `$` is expanded, so it is given to one that can be named without.
        assert found.pop(0) == "/usr/bin/env"
    assert not any(re.search(r"(?<!\$)(?:\$\$)*\$(?!\$)", word) for word in found)
    assert [word.replace("$$", "$") for word in found] == words


@thorough
@given(plain)
def test_a_variable_is_given_as_it_is(value: str) -> None:
    assert words_of(escaping.assignment("HIVE_HOME", value)) == [f"HIVE_HOME={value}"]


@thorough
@given(plain)
def test_a_path_is_one_word_or_refused(value: str) -> None:
    if re.search(r"[\x00-\x1f\x7f]", value):
        with pytest.raises(Refused, match="cannot be written into a unit") as refused:
            escaping.path(value)
        assert refused.value.message.isascii()
    else:
        assert words_of(escaping.path(value)) == [value]
