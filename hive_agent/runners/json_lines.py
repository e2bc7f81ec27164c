"""A JSON object per line, as every CLI with a stream of events has it."""

from __future__ import annotations

import json
import math
from typing import Any

Json = dict[str, Any]


def parse(line: bytes) -> Json | None:
    """One line of the stream; None for what is no JSON object."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def dump(value: object) -> bytes:
    """A line of the stream."""
    return json.dumps(value).encode() + b"\n"


def table(value: object) -> Json:
    """A value that should be an object; an empty one for anything else, as a later version may send."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[object]:
    """A value that should be a list; an empty one for anything else."""
    return value if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A value that should be a number; None for anything else, and for what is not finite."""
    try:
        found = float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
    except OverflowError:
        return None
    return found if math.isfinite(found) else None
