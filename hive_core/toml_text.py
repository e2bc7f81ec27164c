"""Values written as TOML: what tomllib reads and has no way to write."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def dumps(table: Mapping[str, Any]) -> str:
    """A table as TOML: its own keys first, then a header for each table in it.

    Takes texts, numbers, truths, lists of these, and tables: what an agent.toml may hold.
    """
    return "".join(f"{line}\n" for line in _lines(table, ()))


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    own = [f"{_key(key)} = {_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    header = ["", f"[{'.'.join(map(_key, path))}]"] if path and (own or not inner) else []
    below = [line for key, value in inner.items() for line in _lines(value, (*path, key))]
    return [*header, *own, *below]


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _value(key)


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float):
        return repr(value)
    # A JSON string is a TOML string, but for one control character that JSON lets stand as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
