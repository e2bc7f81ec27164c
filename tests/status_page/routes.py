"""Every route of the page, as it is: for tests that are about each of them, also about those that are yet to come."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import bottle

from hive_agent.page.door import Denied
from hive_core.client import Client
from status_page.app import Application

# Read from the application itself, which asks nobody while it puts its routes together.
_PARTS: Any = (Client(Path("/nonexistent")), None, None, dict)
_APPLICATION = Application(*_PARTS)
_RULES = [(str(route.method), str(route.rule)) for route in _APPLICATION.wsgi().routes]
# Answered for as long as anybody reads.
ENDLESS = frozenset(_APPLICATION._streams())
# The static files, and the proof, are there for everybody.
GUARDED = [(method, rule) for method, rule in _RULES if rule not in ("/", "/proof") and "<name:re:" not in rule]
# Beside them, and served by no application.
STREAM = ("GET", "/events")


def filled(rule: str, name: str = "coder", id: int | str = 1) -> str:
    """A path that the rule is for."""
    return re.sub(r"<(\w+)(?::\w+)?>", lambda found: str(id if found[1] == "id" else name), rule)


class _Heeded(bottle.FormsDict):
    """Arguments of which none is given; it remembers which ones were looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def getunicode(self, name: str, default: Any = None, encoding: str | None = None) -> Any:
        self.names.append(name)
        return default


def looked_at(rule: str) -> list[str]:
    """The arguments that a route looks at in an address or a body, beside those of its path."""
    work = (_APPLICATION._acts() | _APPLICATION._reads())[rule]
    heeded = _Heeded()
    kind = {"CONTENT_TYPE": "application/x-www-form-urlencoded"}
    bottle.request.bind(kind | dict.fromkeys(("bottle.request.forms", "bottle.request.query"), heeded))
    with suppress(OSError, Denied):  # It is asked of nobody, or refused for what is not given.
        work(**dict.fromkeys(re.findall(r"<(\w+)", rule), 1))
    return heeded.names


def acts() -> list[str]:
    return [rule for method, rule in GUARDED if method == "POST"]
