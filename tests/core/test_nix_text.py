"""Texts as Nix spells them: read by Nix's rules, they are what they were."""

from __future__ import annotations

import re

import pytest
from hypothesis import given

from hive_core import nix_text
from hive_core.containers.base import Threaded
from hive_core.errors import Refused
from tests.properties import texts, thorough


def read(literal: str) -> str:
    """A Nix string literal as Nix reads it (manual, "String"); fails for one that ends early or interpolates."""
    assert literal[0] == literal[-1] == '"'
    inside = literal[1:-1]
    assert not re.search(r'(?<!\\)(?:\\\\)*(?:"|\$\{)', inside), literal
    assert "\r" not in inside, "a bare CR becomes LF"
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "r": "\r", "t": "\t"}.get(found[1], found[1]), inside)


@thorough
@given(texts)
def test_a_text_is_read_back_as_it_was_or_refused(text: str) -> None:
    if "\0" in text:
        with pytest.raises(Refused, match="holds a NUL"):
            nix_text.string(text)
    else:
        assert read(nix_text.string(text)) == text


def test_what_is_not_utf_8_is_refused_in_a_text_that_can_be_printed() -> None:
    with pytest.raises(Refused, match="not UTF-8") as refused:
        nix_text.string("a\udcffb")
    assert refused.value.message.isascii()


def test_an_agents_system_is_asked_for_with_texts_that_cannot_break_out() -> None:
    threaded = Threaded(port=8100, pronouns='"; evil = "${x}', manager=True)
    text = nix_text.arguments("coder", "inputs.a", threaded)
    assert text.startswith('{ name = "coder"; source = inputs.a; system = "')
    assert text.endswith('port = 8100; pronouns = "\\"; evil = \\"\\${x}"; manager = true; }')
