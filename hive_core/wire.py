"""Values as JSON: fields in their declared order, absent when None. Every face encodes with this."""

from __future__ import annotations

import dataclasses
import enum
import json
from typing import Any


def plain(value: Any) -> Any:
    """Turn a value into what json can write: a dataclass without its None fields, enums, tuples, mappings.

    What has a method `wire` says itself what it looks like.
    """
    if hasattr(value, "wire"):
        return plain(value.wire())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: plain(item) for name, item in pairs if item is not None}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def line(value: Any) -> str:
    """One JSON document without line breaks."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))
