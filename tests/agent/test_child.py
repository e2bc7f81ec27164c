"""How the end of a program is told."""

from __future__ import annotations

import pytest

from hive_agent.runners.child import how_it_ended


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (0, "x ended with code 0"),
        (3, "x ended with code 3"),
        (-9, "x was killed by SIGKILL"),
        (-40, "x was killed by signal 40"),
    ],
)
def test_an_end_is_told_by_its_code_or_its_signal(code: int, told: str) -> None:
    assert how_it_ended("x", code) == told
