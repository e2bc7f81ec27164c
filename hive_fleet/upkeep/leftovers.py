"""What is left over on the disk: builds and harnesses that nothing names, and what a kill has left half-way."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from hive_core import progress
from hive_core.context import Hive
from hive_core.human import natural
from hive_core.locks import Busy
from hive_fleet.flake import meta
from hive_fleet.upkeep.swept import Swept, contained


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Remove them. An agent at which somebody is at work is left alone until the next time."""
    for name in sorted(hive.host.containers(), key=natural):
        yield from contained(f"builds of {name}", partial(_of_one, hive, name, dry))
    if hive.settings.meta.is_dir():
        yield from contained("harnesses", partial(_shared, hive, dry))
    yield from contained("half-made", partial(_half_made, hive, dry))


def _of_one(hive: Hive, name: str, dry: bool) -> Iterator[Swept]:
    freed = hive.host.leftovers(name, dry=True)
    if freed and not dry:
        freed = 0
        with suppress(Busy), hive.lock(name, "hive vacuum", wait=False):
            # An operation that was cut off may go back to what is not named any more.
            if not _half_done(hive, name):
                freed = hive.host.leftovers(name, dry=False)
    yield Swept(f"builds of {name}", True, None, freed, "of configurations that it neither runs nor would start with")


def _half_done(hive: Hive, name: str) -> bool:
    with hive.store.read() as db:
        return name in progress.all_in_progress(db)


def _shared(hive: Hive, dry: bool) -> Iterator[Swept]:
    freed = hive.host.shared_leftovers(meta.lock(hive), dry=dry)
    yield Swept("harnesses", True, None, freed, "revisions of hive that no agent was started with and no lock names")


def _half_made(hive: Hive, dry: bool) -> Iterator[Swept]:
    from hive_core.git import made

    freed = sum(made.sweep(folder, dry=dry) for folder in (hive.settings.applied, hive.settings.home))
    yield Swept("half-made", True, None, freed, "repositories that were cut off in their making")
