"""What a test may need from the machine."""

from __future__ import annotations

import os
import shutil

import pytest


def requires(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing; in CI nothing is skipped, so there the test fails instead."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(
        bool(missing) and "CI" not in os.environ,
        reason=f"needs {', '.join(missing)} (apt-get install {' '.join(missing)})",
    )
