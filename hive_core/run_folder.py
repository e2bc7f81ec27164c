"""The folder of the sockets belongs to one hive: another's agents, told apart by name alone, would be its own."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from hive_core.errors import Refused
from hive_core.settings import Settings


def claim(settings: Settings) -> None:
    """Make the folder this hive's. Raises Refused while it is another's that is still there."""
    home = str(settings.home.resolve())
    mark = settings.run / "home"
    if mark.exists() and mark.read_text() == home:
        return
    settings.run.mkdir(mode=0o755, parents=True, exist_ok=True)
    own = settings.run / f".home.{threading.get_native_id()}"
    own.write_text(home)
    try:
        # Whole or not at all, and only one of two at once.
        os.link(own, mark)
    except FileExistsError:
        owner = mark.read_text()
        if owner != home and (Path(owner) / settings.database.name).exists():
            raise Refused(
                f"{settings.run} holds the sockets of the hive in {owner}, not of the one in {home}.",
                "Give each a folder of its own: HIVE_RUN names it.",
            ) from None
        own.replace(mark)
    finally:
        own.unlink(missing_ok=True)


def is_anothers(settings: Settings) -> bool:
    """Whether the folder belongs to another hive."""
    mark = settings.run / "home"
    return mark.exists() and mark.read_text() != str(settings.home.resolve())
