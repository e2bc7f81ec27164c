"""TOML that is checked by a schema: every refusal names file, line and key in a sentence, and what is near."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from hive_agent.bounded_toml import MOST_PARTS, MOST_TOML_BYTES, overlong_key
from hive_core.errors import HiveError
from hive_core.toml_lines import Path, key_lines


def load(text: str, file: str, error: type[HiveError]) -> tuple[Checker, dict[str, Any]]:
    """Parse a text, at most 64 KiB of it; what checks its values comes with it.

    error: what is raised for the first thing that is wrong, here and by the checker.
    """
    # With which some editors begin every file.
    text = text.removeprefix("\ufeff")
    if len(text.encode("utf-8", "surrogatepass")) > MOST_TOML_BYTES:
        raise error(f"{file} is larger than {MOST_TOML_BYTES // 1024} KiB.")
    if (line := overlong_key(text)) is not None:
        raise error(f"{file}, line {line}: this key has more than {MOST_PARTS} parts; none of hive's has.")
    return Checker(file, key_lines(text), error), _parse(text, file, error)


def _parse(text: str, file: str, error: type[HiveError]) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(wrong), re.DOTALL)
        reason, line = (found[1], found[2] or text.count("\n") + 1) if found else (str(wrong), 1)
        raise error(f"{file}, line {line}: this is not TOML: {reason}.") from wrong
    except (RecursionError, ValueError) as wrong:
        raise error(f"{file} cannot be read: {type(wrong).__name__}, {str(wrong)[:200]}.") from wrong


Check = Callable[["Checker", Any, Path], Any]


class Checker:
    """Checks values and knows on which line each key was written."""

    def __init__(self, file: str, lines: Mapping[Path, int], error: type[HiveError]) -> None:
        self._file = file
        self._lines = lines
        self._error = error

    def line(self, path: Path) -> int:
        """The line on which a key was written, or the table that holds it."""
        known = next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self._lines), None)
        return self._lines[known] if known else 1

    def refuse(self, path: Path, what: str, advice: str) -> NoReturn:
        """Raises the error: the key, what is wrong with it, and what to do."""
        raise self._error(f"{self._file}, line {self.line(path)}: {'.'.join(path)} {what}; {advice}.")

    def wrong(self, value: object, path: Path, advice: str) -> NoReturn:
        """Raises the error: the key, its value, and what to give."""
        import json

        try:
            shown = json.dumps(value, default=str, ensure_ascii=True)
        except ValueError:
            shown = "a number of thousands of digits"  # More than Python writes out (int_max_str_digits).
        self.refuse(path, f"is {shown if len(shown) <= 80 else shown[:76] + '...'}", advice)

    def table(self, value: Any, path: Path, checks: Mapping[str, Check]) -> dict[str, Any]:
        """The checked values of a table that has these keys and no other."""
        if not isinstance(value, dict):
            self.wrong(value, path, f"give a table of {', '.join(checks)}")
        for key in value:
            if key not in checks:
                self.refuse((*path, key), "is not a key hive knows", _nearest(key, checks))
        return {key: checks[key](self, item, (*path, key)) for key, item in value.items()}

    def named(self, value: Any, path: Path, name: re.Pattern[str], check: Check, advice: str) -> dict[str, Any]:
        """The checked values of a table whose keys are names of somebody's choice."""
        if not isinstance(value, dict):
            self.wrong(value, path, "give a table")
        for key in value:
            if not name.fullmatch(key):
                self.refuse((*path, key), "has a name that cannot be", advice)
        return {key: check(self, item, (*path, key)) for key, item in value.items()}


def _nearest(key: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, list(known), n=1)
    return f"perhaps it is {near[0]}" if near else f"it knows {', '.join(known)}"


def text_of(checker: Checker, value: Any, path: Path) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value or "\0" in value:
        checker.wrong(value, path, "give a text that is not empty and holds no NUL")
    return value


def value_of(checker: Checker, value: Any, path: Path) -> str:
    """A text."""
    if not isinstance(value, str) or "\0" in value:
        checker.wrong(value, path, "give a text without NUL, in quotes")
    return value


def one_of(choices: tuple[str, ...]) -> Check:
    """One of these texts."""

    def check(checker: Checker, value: Any, path: Path) -> str:
        if value not in choices:
            checker.wrong(value, path, f"give one of {', '.join(choices)}")
        return str(value)

    return check


def whole(least: int, most: int) -> Check:
    """A whole number within bounds."""

    def check(checker: Checker, value: Any, path: Path) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            checker.wrong(value, path, f"give a whole number from {least} to {most}")
        return value

    return check
