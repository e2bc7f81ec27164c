"""Folders of hive's own that agents, as users of their own, look into."""

from __future__ import annotations

import stat
from pathlib import Path

_MODE = 0o755


def make(folder: Path) -> None:
    """Make a folder that everybody may look into; one that a umask has closed at its making is opened."""
    folder.mkdir(mode=_MODE, parents=True, exist_ok=True)
    if stat.S_IMODE(folder.stat().st_mode) & _MODE != _MODE:
        folder.chmod(_MODE)
