"""The table `[notify]` of hive.toml, checked: whom to notify of what, and when. A service's URL is never repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hive_core.checked_toml import Checker, one_of, text_of, whole
from hive_core.need_kinds import NEED_KINDS
from hive_core.toml_lines import Path

OFF = "off"
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
_QUIET = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{1,39}://\S+")


def check(checker: Checker, value: Any, path: Path) -> dict[str, Any]:
    """The checked table."""
    rule = {
        "to": _names,
        "least": whole(1, 3),
        "quiet": _quiet,
        "digest": whole(0, 1440),
        "repeat": whole(0, 10080),
        "most": whole(1, 1000),
        "words": one_of(("on", OFF)),
    }

    def of_kind(checker: Checker, value: Any, path: Path) -> dict[str, Any]:
        return checker.table(value, path, rule)

    general = {**rule, "link": text_of, "services": _services}
    checked = checker.table(value, path, {**general, **dict.fromkeys(NEED_KINDS, of_kind)})
    _require_known(checker, checked, path)
    return checked


def quiet_hours(text: str) -> tuple[int, int] | None:
    """The minutes of a day from which, and up to which, nothing is sent; None for never."""
    found = _QUIET.fullmatch(text)
    if found is None:
        return None
    hours = [int(number) for number in found.groups()]
    begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
    return None if begin == end else (begin, end)


def scheme(service: str | list[str]) -> str:
    """What may be shown of a service: the kind of its URL, or its program."""
    return f"{service.partition('://')[0]}://…" if isinstance(service, str) else service[0]


def _require_known(checker: Checker, checked: Mapping[str, Any], path: Path) -> None:
    known = checked.get("services", {})
    for kind, rule in ((None, checked), *((kind, checked.get(kind, {})) for kind in NEED_KINDS)):
        for name in rule.get("to", ()):
            if name not in known:
                place = (*path, "to") if kind is None else (*path, kind, "to")
                checker.refuse(place, f"names {name}", f"the services are {', '.join(known) or 'none yet'}")


def _names(checker: Checker, value: Any, path: Path) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        checker.refuse(path, "is no list of names", 'give names of [notify.services], as in ["phone"]')
    return list(value)


def _quiet(checker: Checker, value: Any, path: Path) -> str:
    if value != OFF and (not isinstance(value, str) or not _QUIET.fullmatch(value)):
        checker.wrong(value, path, 'give hours of the day, as in "22:00-07:00", or "off"')
    return str(value)


def _services(checker: Checker, value: Any, path: Path) -> dict[str, str | list[str]]:
    return checker.named(value, path, _NAME, _service, "a name is of a-z, 0-9 and '-', and begins with a letter")


def _service(checker: Checker, value: Any, path: Path) -> str | list[str]:
    """A URL, or a command as a list of words. What is wrong with it is said without it: it is a secret."""
    is_url = isinstance(value, str) and _URL.fullmatch(value)
    is_command = isinstance(value, list) and value and all(isinstance(word, str) and "\0" not in word for word in value)
    if not is_url and not is_command:
        checker.refuse(path, "is no service", 'give a URL, as in "ntfy://ntfy.sh/TOPIC", or a list of words')
    if is_command and not value[0].startswith("/"):
        checker.refuse(path, "is a command without a path", "give the absolute path of its program first")
    return list(value) if is_command else str(value)
