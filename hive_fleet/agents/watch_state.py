"""Whether somebody keeps watch: a process that runs, or a timer that looks now and then."""

from __future__ import annotations

import time
from contextlib import suppress

from hive_core.context import Hive

# Seconds after which a look by a timer is long ago.
LONG_AGO = 600.0


def is_watched(hive: Hive) -> bool:
    """Whether a watch runs, or a look was taken not long ago: its lock tells, which is written to each time."""
    if hive.running("watch") is not None:
        return True
    with suppress(FileNotFoundError):
        return time.time() - (hive.settings.locks / "watch.lock").stat().st_mtime < LONG_AGO
    return False
