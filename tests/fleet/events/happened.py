"""Events as they may have happened."""

from __future__ import annotations

from typing import Any

from hive_core.event_kinds import EVENT_KINDS
from hive_core.events import Event

# What each field may be where a test does not care.
ANY = {
    "options": ["a", "b"],
    "tombstones": [],
    "inputs": [],
    "gone": [],
    "rows": [],
    "container": {"running": True},
    "need": {
        "id": "crash/coder",
        "kind": "crash",
        "agent": "coder",
        "text": "crashed",
        "command": "hive journal coder",
    },
    "needs": ["crash/coder"],
    "cancelled": False,
}


def event(kind: str, **data: Any) -> Event:
    """An event with every field that its kind always carries."""
    given = {name: ANY.get(name, "coder") for name in EVENT_KINDS[kind].fields} | data
    return Event(7, 1_700_000_000.5, kind, "coder", given)
