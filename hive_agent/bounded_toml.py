"""TOML that an agent may have written, read at a cost that it does not choose."""

from __future__ import annotations

import re
from typing import Any

MOST_TOML_BYTES = 64 * 1024
# tomllib keeps every beginning of a dotted key: one of 30,000 parts costs it gigabytes.
MOST_PARTS = 16
# One that nobody ends reaches to the end: there tomllib gives up, whatever comes after.
_STRING_OR_COMMENT = re.compile(
    r'"""(?:\\.|[^\\])*?(?:"""|\Z)' r"|'''.*?(?:'''|\Z)" r'|"(?:\\.|[^"\\\n])*+"?' r"|'[^'\n]*+'?" r"|#[^\n]*+",
    re.DOTALL,
)
_OVERLONG = re.compile(rf"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:[ \t]*+\.[ \t]*+[A-Za-z0-9_-]++){{{MOST_PARTS}}}")


def loads(text: str) -> dict[str, Any]:
    """Parse a text. Raises ValueError for no TOML and for more than is read, RecursionError for what is too deep."""
    import tomllib

    if len(text.encode("utf-8", "surrogatepass")) > MOST_TOML_BYTES:
        raise ValueError(f"it is larger than {MOST_TOML_BYTES // 1024} KiB")
    if (line := overlong_key(text)) is not None:
        raise ValueError(f"a key in line {line} has more than {MOST_PARTS} parts")
    return tomllib.loads(text)


def overlong_key(text: str) -> int | None:
    """The line on which a dotted key of more than MOST_PARTS parts stands, or what looks like one; None without."""
    # Every quoted part becomes a bare one, every other text something without dots, with its lines.
    plain = _STRING_OR_COMMENT.sub(lambda found: "q" + "\n" * found[0].count("\n"), text)
    found = _OVERLONG.search(plain)
    return None if found is None else plain.count("\n", 0, found.start()) + 1
