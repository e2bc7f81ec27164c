"""A JSON object per line, as every CLI with a stream of events has it."""

from __future__ import annotations

import json
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
