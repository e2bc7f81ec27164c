"""On which line of a TOML text each key stands: tomllib tells it for syntax errors only."""

from __future__ import annotations

import re

Path = tuple[str, ...]

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*\[{{1,2}}[ \t]*({_DOTTED})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_QUOTES = re.compile(r'"""|\'\'\'')


def key_lines(text: str) -> dict[Path, int]:
    """Find the line, counted from 1, on which each header and key first stands.

    A scanner of headers and keys, no parser: within lists over several lines it may take a text for a key,
    which at worst makes a message name a line nearby. Values of inline tables are not found; their key is.
    """
    lines: dict[Path, int] = {}
    table: Path = ()
    closing: str | None = None
    for number, line in enumerate(text.split("\n"), start=1):
        if closing is None:
            if header := _HEADER.match(line):
                table = _parts(header[1])
                lines.setdefault(table, number)
            elif key := _KEY.match(line):
                lines.setdefault((*table, *_parts(key[1])), number)
        closing = _still_open(line, closing)
    return lines


def _parts(dotted: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_PART, dotted))


def _still_open(line: str, closing: str | None) -> str | None:
    for quotes in _QUOTES.findall(line):
        if closing is None:
            closing = quotes
        elif quotes == closing:
            closing = None
    return closing
