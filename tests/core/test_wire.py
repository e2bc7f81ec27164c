"""Values as JSON: one document a value, the same at once as in pieces, and what is no JSON is refused."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core import wire
from tests.properties import documents, thorough


class Colour(enum.Enum):
    RED = "red"


class Point(NamedTuple):
    x: Any
    y: Any


@dataclasses.dataclass
class Box:
    first: Any
    second: Any = None


@dataclasses.dataclass
class Sent:
    """Looks another way on the wire than its fields do."""

    inside: Any

    def wire(self) -> Any:
        return self.inside


values = st.recursive(
    documents() | st.just(Colour.RED),
    lambda inner: (
        st.builds(Point, inner, inner)
        | st.builds(Box, inner, inner)
        | st.builds(Sent, inner)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.sampled_from(["a", "b", "é"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@thorough
@given(values)
def test_a_value_is_one_line_that_says_the_same_as_its_pieces_and_its_plain_form(value: Any) -> None:
    line = wire.line(value)
    assert "\n" not in line
    assert "".join(wire.pieces(value)) == line
    assert wire.read(line) == wire.plain(value)
    assert wire.plain(wire.plain(value)) == wire.plain(value)


@thorough
@given(documents())
def test_what_is_plain_already_stays_as_it_is(value: Any) -> None:
    assert wire.plain(value) == value


def test_fields_keep_their_order_and_are_absent_without_a_value() -> None:
    assert wire.line(Box(None, 2)) == '{"second":2}'
    assert wire.line(Point(1, None)) == '{"x":1}'
    assert wire.line({"b": None, 1: Point(Colour.RED, [Box(None)])}) == '{"b":null,"1":{"x":"red","y":[{}]}}'


def test_what_has_a_form_of_its_own_on_the_wire_is_sent_in_that_however_deep() -> None:
    assert wire.line([Sent(Sent(Box(1)))]) == '[{"first":1}]'


@pytest.mark.parametrize("text", ["NaN", "[Infinity]", '{"a":-Infinity}', "1e999", "[-1e999]", "", "{", "[1,]", "'a'"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no JSON|Expecting|Illegal"):
        wire.read(text)


def test_what_is_too_deep_to_read_is_refused() -> None:
    with pytest.raises(RecursionError):
        wire.read("[" * 100_000)


@thorough
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_read_as_it_was_written(number: float) -> None:
    assert wire.read(json.dumps(number)) == number
    assert math.isfinite(wire.read(wire.line(number)))


@thorough
@given(st.floats(0, 4e9))
def test_a_moment_is_told_in_whole_seconds_of_utc(seconds: float) -> None:
    read = datetime.strptime(wire.moment(seconds), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert read.timestamp() == int(seconds)
