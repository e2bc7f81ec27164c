"""Ending everything that runs, at once: no lock is waited for, and nothing that an agent or a command can prolong."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from hive_core import progress
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.agents import halt, table
from hive_fleet.agents.last_seen import after_operation
from hive_fleet.messages.messages import tell

NOTE = "stopped by `hive estop`"


def end_all(hive: Hive) -> dict[str, str | None]:
    """End every container that runs, each in a thread of its own; why it could not be ended, by name, or None."""
    running = [name for name, container in hive.host.containers().items() if container.running]
    if not running:
        return {}
    with ThreadPoolExecutor(len(running)) as pool:
        return dict(zip(running, pool.map(lambda name: _end(hive, name), running), strict=True))


def _end(hive: Hive, name: str) -> str | None:
    try:
        hive.host.end(name, grace=0)
    except (HiveError, OSError) as error:
        return str(error)
    return None


def tell_ended(hive: Hive, names: list[str]) -> None:
    """Tell of the agents that a halt has ended, and show all that it holds; one at which a command is, that shows."""
    with hive.store.read() as db:
        known = set(table.names(db)) - progress.all_in_progress(db).keys()
        # One that did not run is held, too: it is not restarted after its crash, and has not failed any more.
        shown = {*names, *halt.held_back(db)} & known
    records = [after_operation(hive, name) for name in sorted(shown)]
    with hive.store.write() as db:
        for name in sorted(set(names) & set(table.names(db))):
            tell(hive, db, "killed", name, note=NOTE)
        for record in records:
            record(db)


def finish(hive: Hive) -> None:
    """End what still runs in a halt: `hive estop` may have been killed before it came to that."""
    with hive.store.read() as db:
        halted = halt.since(db) is not None
    if halted and (ended := [name for name, failed in end_all(hive).items() if failed is None]):
        tell_ended(hive, ended)
