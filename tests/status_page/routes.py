"""Every route of the page, as it is: for tests that are about each of them, also about those that are yet to come."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hive_core.client import Client
from status_page.app import Application

# Read from the application itself, which asks nobody while it puts its routes together.
_PARTS: Any = (Client(Path("/nonexistent")), None, None, None)
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


def acts() -> list[str]:
    return [rule for method, rule in GUARDED if method == "POST"]
