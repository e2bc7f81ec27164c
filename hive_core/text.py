"""Text that agents wrote, made safe to print: no escapes, no tricks with direction, nothing invisible."""

from __future__ import annotations

import json
import re

# Everything that is neither printable nor a plain line break or tab: C0 and C1 controls, format
# characters (bidi overrides and isolates, zero-width, soft hyphen, byte-order mark, tags), variation
# selectors, private-use, surrogates and the line separators. Python's str.isprintable() follows the
# Unicode categories Other and Separator, so one rule covers all that has no glyph of its own.
_UNSAFE = re.compile(r"[^\t\n -~]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_INVISIBLE = {0x115F, 0x1160, 0x3164, 0xFFA0, 0x2800, 0x034F, 0x17B4, 0x17B5}
_VARIATION = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))


def _show(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    hidden = code in _INVISIBLE or any(code in span for span in _VARIATION)
    if character.isprintable() and not hidden:
        return character
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{{{code:x}}}"


def visible(text: str) -> str:
    """Return `text` with every character a terminal or a reader could be fooled by written out.

    Line breaks and tabs stay. `\\x1b[31m` comes back as the seven characters it is written with here.
    """
    return _UNSAFE.sub(_show, text)


def safe_json(document: str) -> str:
    """A JSON document with what `visible` would write out escaped as JSON does it: it means the same as before."""
    return _UNSAFE.sub(_escape, document)


def ascii_json(document: str) -> str:
    """A JSON document with all that is not ASCII escaped: it means the same as before."""
    return _NOT_ASCII.sub(lambda match: json.dumps(match.group())[1:-1], document)


def _escape(match: re.Match[str]) -> str:
    character = match.group()
    if _show(match) == character:
        return character
    return json.dumps(character)[1:-1]


def indented(text: str) -> str:
    """`text` with each line set off, so that none of it can pass for what hive itself says beside it."""
    return "\n".join(f"  | {line}" for line in text.split("\n"))


def one_line(text: str) -> str:
    """`visible`, with line breaks and tabs written out too: for a table's cell or a log line."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")
