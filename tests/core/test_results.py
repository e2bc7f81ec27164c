"""What results say of themselves: as the protocols have it, and by no other names."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from hive_core import results
from hive_core.operation import Operation
from hive_faces.verbs import everything

PROTOCOLS = {
    name: kind
    for kind in vars(results).values()
    if getattr(kind, "_is_protocol", False) and kind is not typing.Protocol
    for name in vars(kind)
    if not name.startswith("_")
}


def classes_in(hint: Any) -> Iterator[type]:
    """Every class of the product that a return annotation names."""
    for part in typing.get_args(hint):
        yield from classes_in(part)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        yield hint


def results_of(operation: Operation) -> list[type]:
    hint = typing.get_type_hints(operation.function)["return"]
    return list(dict.fromkeys(classes_in(hint)))


@pytest.mark.parametrize("operation", everything().values(), ids=lambda operation: operation.name)
def test_what_a_result_says_of_itself_is_as_its_protocol_has_it(operation: Operation) -> None:
    for kind in results_of(operation):
        for name in PROTOCOLS.keys() & vars(kind).keys():
            declared, own = vars(PROTOCOLS[name])[name], vars(kind)[name]
            told = isinstance(own, property) or name in {field.name for field in dataclasses.fields(kind)}
            assert told == isinstance(declared, property), f"{kind}.{name}"
            if inspect.isfunction(own):
                assert list(inspect.signature(own).parameters) == ["self"], f"{kind}.{name}"


@pytest.mark.parametrize("operation", everything().values(), ids=lambda operation: operation.name)
def test_a_result_has_one_way_to_be_told(operation: Operation) -> None:
    for kind in results_of(operation):
        assert not {"summary", "told", "shown", "render", "describe"} & vars(kind).keys(), kind


def test_the_protocols_are_few_and_each_of_their_names_is_said_what_it_is() -> None:
    assert sorted(PROTOCOLS) == ["in_full", "listing", "ok", "terminal_title", "text", "tone", "untimed", "wire"]
    assert all(inspect.getdoc(vars(kind)[name]) for name, kind in PROTOCOLS.items())
