"""The checkout's own Python environment, when something is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.environment import lacking


def test_a_library_that_is_missing_is_told_with_what_to_do() -> None:
    error = ModuleNotFoundError("No module named 'typer'", name="typer")
    with pytest.raises(SystemExit, match=r"/here/.venv is damaged: No module named 'typer'. Remove that folder"):
        lacking(Path("/here"), error)
    with pytest.raises(ModuleNotFoundError):
        lacking(Path("/here"), ModuleNotFoundError("No module named 'hive_core.x'", name="hive_core.x"))
