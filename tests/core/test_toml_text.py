"""Values written as TOML: tomllib reads back what was written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from hive_core.toml_text import dumps

TABLES: list[dict[str, Any]] = [
    {},
    {"runner": "claude", "settle_seconds": 0.5, "limits": {"memory": "2G", "processes": 7}},
    {"command": ["sh", "-c", 'echo "a\\b"\n\t\x7f\x1f\u2028é'], "yes": True},
    {"environment": {"A.B": "x", 'odd "key"': "y", "": "z"}},
    {"mcp_servers": {"one": {"command": "a", "args": [], "environment": {"K": ""}}, "two": {"command": "b"}}},
    {"empty": {}, "after": 1},
]


@pytest.mark.parametrize("table", TABLES, ids=range(len(TABLES)))
def test_what_is_written_is_read_back_the_same(table: dict[str, Any]) -> None:
    assert tomllib.loads(dumps(table)) == table
