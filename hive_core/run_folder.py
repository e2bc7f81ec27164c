"""The folder of the sockets belongs to one hive: another's agents, told apart by name alone, would be its own."""

from __future__ import annotations

from pathlib import Path

from hive_agent import atomic
from hive_core.errors import Refused
from hive_core.locks import file_lock
from hive_core.settings import Settings


def claim(settings: Settings) -> None:
    """Make the folder this hive's. Raises Refused while it is another's that is still there."""
    if _owner(settings) == _own(settings):
        return
    settings.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    with file_lock(settings.run / "home.lock", "taking the folder of the sockets"):
        owner = _owner(settings)
        if is_anothers(settings) and (Path(str(owner)) / settings.database.name).exists():
            raise Refused(
                f"{settings.run} holds the sockets of the hive in {owner}, not of the one in {_own(settings)}.",
                "Give each a folder of its own: HIVE_RUN names it.",
            )
        atomic.write(_mark(settings), _own(settings))


def is_anothers(settings: Settings) -> bool:
    """Whether the folder belongs to another hive, be that one there or not."""
    return _owner(settings) not in (None, _own(settings))


def _own(settings: Settings) -> str:
    return str(settings.home.resolve())


def _owner(settings: Settings) -> str | None:
    mark = _mark(settings)
    return mark.read_text() if mark.exists() else None


def _mark(settings: Settings) -> Path:
    return settings.run / "home"
