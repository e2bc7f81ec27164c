"""Repositories packed: those that hive alone writes. In one that an agent can write, git is never run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.human import natural
from hive_core.human import size as in_words
from hive_fleet.upkeep.swept import Swept, contained


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Pack every repository that has become many small files. Whoever writes to that one waits meanwhile."""
    applied = hive.settings.applied
    found = [path for path in applied.iterdir() if path.name[0] != "."] if applied.is_dir() else []
    for path in (hive.settings.meta, *sorted(found, key=lambda path: natural(path.name))):
        if (path / ".git").is_dir():
            name = f"repository {path.relative_to(hive.settings.home)}"
            yield from contained(name, partial(_packed, path, name, dry))


def _packed(path: Path, name: str, dry: bool) -> Iterator[Swept]:
    from hive_core.git import packing

    before = packing.measure(path)
    if not before.worth_packing:
        return
    size = before.size
    if not dry:
        if (room := shutil.disk_usage(path).free) < before.size:
            raise Refused(
                f"It is not packed: that takes {in_words(before.size)}, {in_words(room)} are free.", "Make room."
            )
        packing.pack(path)
        size = max(0, before.size - packing.measure(path).size)
    yield Swept(name, True, before.files, size, "objects and tags in files of their own" if dry else "packed")
