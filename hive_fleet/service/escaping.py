"""Values in systemd's units, so that what is read there is what was meant (systemd.syntax(7), systemd.service(5))."""

from __future__ import annotations

from hive_core.errors import Refused


def command(*words: str) -> str:
    """A command line for ExecStart=: no word is split, expanded as a variable, or taken for a specifier."""
    # The program's own path is the one word in which no `$` is expanded, so none can be escaped there.
    beginning = ("/usr/bin/env",) if "$" in words[0] else ()
    return " ".join(_quoted(word.replace("$", "$$")) for word in (*beginning, *words))


def assignment(name: str, value: str) -> str:
    """A variable for Environment=, where `$` means nothing."""
    return _quoted(f"{name}={value}")


def path(value: str) -> str:
    """A path for ReadWritePaths=, where a control character cannot be written. Raises Refused for one."""
    if any(ord(character) < 32 or ord(character) == 127 for character in value):
        raise Refused(f"{value!a} cannot be written into a unit of systemd.", "Name another folder.")
    return _quoted(value)


def _quoted(value: str) -> str:
    escaped = "".join(map(_escaped, value))
    return f'"{escaped}"'


def _escaped(character: str) -> str:
    if character in '\\"':
        return f"\\{character}"
    if character == "%":
        return "%%"
    if ord(character) < 32 or ord(character) == 127:
        return f"\\x{ord(character):02x}"
    return character
