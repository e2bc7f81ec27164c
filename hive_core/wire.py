"""Values as JSON: fields in their declared order, absent when None. Every face encodes with this."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import time
from collections.abc import Iterator
from typing import Any


def moment(seconds: float) -> str:
    """A time in unix seconds as RFC 3339, in UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(seconds)))


def plain(value: Any) -> Any:
    """Turn a value into what json can write: a dataclass or a named tuple without its None fields, enums, mappings.

    What is Wired (see results.py) says itself what it looks like.
    """
    value = outline(value)
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def outline(value: Any) -> Any:
    """A value as `plain` turns it, its parts still as they are."""
    # Asked so, and not by the protocol: that takes ten times as long, and this is asked of every value.
    while hasattr(value, "wire"):
        value = value.wire()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((field.name, getattr(value, field.name)) for field in dataclasses.fields(value))
        return {name: item for name, item in pairs if item is not None}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: item for name, item in value._asdict().items() if item is not None}
    return value.value if isinstance(value, enum.Enum) else value


def line(value: Any) -> str:
    """One JSON document without line breaks."""
    return json.dumps(plain(value), ensure_ascii=False, separators=(",", ":"))


def read(document: str | bytes) -> Any:
    """What a document says. Raises ValueError or RecursionError for what is no JSON, or too deep."""
    return json.loads(document, parse_constant=_refuse, parse_float=_finite)


def _refuse(text: str) -> Any:
    """NaN and Infinity are Python's, not JSON's: passed on, they would be no document."""
    raise ValueError(f"{text} is no JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refuse(text[:20])


def pieces(value: Any) -> Iterator[str]:
    """The document that `line` makes, piece by piece: each item of a list by itself.

    Writing JSON lets no other thread run until it is done, so what may be long is written so.
    """
    value = outline(value)
    if isinstance(value, dict) and value:
        before = "{"
        for key, item in value.items():
            yield f"{before}{line(str(key))}:"
            yield from pieces(item)
            before = ","
        yield "}"
    elif isinstance(value, (list, tuple)) and value:
        before = "["
        for item in value:
            yield before + line(item)
            before = ","
        yield "]"
    else:
        yield line(value)
