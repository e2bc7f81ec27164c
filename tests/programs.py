"""A PATH on which some programs are missing, as on a machine where they are not installed."""

from __future__ import annotations

import os
from pathlib import Path


def path_without(folder: Path, *names: str) -> str:
    """Fill a folder with links to every program on the PATH but these; what to set as PATH.

    hive looks for its sandbox on the PATH, so one of these is as good as absent to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for place in os.environ["PATH"].split(os.pathsep):
        for program in Path(place).iterdir() if os.access(place, os.R_OK | os.X_OK) else ():
            link = folder / program.name
            if program.name not in names and not link.is_symlink():
                link.symlink_to(program)
    return str(folder)
