"""Errors: one base for the harness and for hive, so that one handler can tell all of them."""

from __future__ import annotations

import pytest

from hive_agent import errors as harness
from hive_core import errors


def test_hive_and_the_harness_tell_of_errors_by_one_base() -> None:
    assert errors.HiveError is harness.HiveError
    assert issubclass(harness.AgentError, errors.HiveError)


@pytest.mark.parametrize("kind", [harness.GateRefused, harness.Unreachable, errors.Refused, errors.Invalid])
def test_an_error_is_its_message_and_the_hint_below_it(kind: type[errors.HiveError]) -> None:
    assert str(kind("It cannot be done.")) == "It cannot be done."
    assert str(kind("It cannot be done.", "Do something else.")) == "It cannot be done.\nDo something else."


def test_no_error_of_the_harness_is_called_as_one_of_hive_is() -> None:
    own = {name for name, value in vars(harness).items() if isinstance(value, type)}
    assert own & {name for name, value in vars(errors).items() if isinstance(value, type)} == {"Exit", "HiveError"}
