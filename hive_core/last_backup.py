"""Which backup was made last, for whoever wants to know how old it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

from hive_agent import atomic
from hive_core.settings import Settings

_FILE = "last-backup"


class LastBackup(NamedTuple):
    """folder: where it was put. made_at: unix seconds."""

    folder: str
    made_at: float


def remember(settings: Settings, folder: Path, made_at: float) -> None:
    """Note that a backup was made."""
    atomic.write(settings.home / _FILE, json.dumps({"folder": str(folder), "made_at": made_at}), mode=0o600)


def read(settings: Settings) -> LastBackup | None:
    """The backup that was made last; None where none was, or that is not known."""
    try:
        found = json.loads((settings.home / _FILE).read_text())
        return LastBackup(str(found["folder"]), float(found["made_at"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
