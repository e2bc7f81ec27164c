"""What needs the operator, computed from everything: what the list is held to, and what concerns no agent."""

from __future__ import annotations

import os
import sqlite3

from hive_core import last_backup, repairs
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.human import size, span
from hive_core.trouble import TROUBLES, Trouble
from hive_fleet.agents import last_seen, troubles
from hive_fleet.home import ports
from hive_fleet.home.status_page import LACKING
from hive_fleet.messages import questions
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need
from hive_fleet.notifications import outbox
from hive_fleet.requests import queue

# A disk is full soon when less than this share of it is free, and less than so many bytes.
SHARE, SCARCE = 0.05, 2 * 1024**3
# Seconds after which a backup is old.
OLD_BACKUP = 7 * 86400.0


def computed(hive: Hive, db: sqlite3.Connection) -> list[Need]:
    """What needs the operator by all that the database tells, however it came to that."""
    shown = last_seen.shown(db)
    return [
        *map(queue.need_of, queue.waiting(db)),
        *map(questions.need_of, questions.for_operator(db)),
        *(need for view in shown for need in troubles.troubles(view)),
        *(outbox.need_of(each) for each in outbox.failing(db).values() if each.tries >= outbox.DOWN),
        *_repairs_of_nobody(hive, db, {view["name"] for view in shown}),
    ]


def keep(hive: Hive) -> None:
    """Have the list as it is to be: also where an older hive has kept none, and with what only a look can tell."""
    machine = _machine(hive)
    with hive.store.read() as db:
        if needs.agrees(db, [*computed(hive, db), *machine]):
            return
    with hive.store.write() as db:
        needs.replace_all(db, [*computed(hive, db), *machine])


def keep_trying(hive: Hive, trouble: Trouble) -> None:
    """The same for who has more to do: what the machine refuses is told once."""
    try:
        keep(hive)
    except TROUBLES as error:
        trouble.met(error)
    else:
        trouble.over()


def _repairs_of_nobody(hive: Hive, db: sqlite3.Connection, known: set[str]) -> list[Need]:
    """What could not be mended of agents that are not shown: one that was never made, or is gone."""
    found = {name: failed[0] for name, failed in repairs.by_agent(hive, db).items() if name not in known}
    return [troubles.left_half_done(name, failed.error) for name, failed in found.items()]


def _machine(hive: Hive) -> list[Need]:
    return [need for need in (_disk(hive), _backup(hive), _page(hive), _settings(hive)) if need is not None]


def _disk(hive: Hive) -> Need | None:
    try:
        disk = os.statvfs(hive.settings.home)
    except OSError:
        return None  # Nothing can be told of a disk that is not there; whoever needs it says so.
    free = disk.f_bavail * disk.f_frsize
    least = min(SCARCE, disk.f_blocks * disk.f_frsize * SHARE)
    if free >= least:
        return None
    said = f"the disk of {hive.settings.home} is full soon: less than {size(least)} is free"
    return Need("disk", "", None, said, "hive disk")


def _backup(hive: Hive) -> Need | None:
    """Of who makes none hive knows nothing: they may be made some other way."""
    try:
        last = last_backup.read(hive.settings)
    except OSError:
        return None  # The doctor says of a file that cannot be read that it cannot.
    if last is None or hive.clock() - last.made_at <= OLD_BACKUP:
        return None
    return Need("backup", "", None, f"the last backup is older than {span(OLD_BACKUP)}", "hive backup DIR")


def _page(hive: Hive) -> Need | None:
    """The status page's port, for as long as somebody tries to have it and cannot."""
    if hive.running(LACKING) is None:
        return None
    said = f"there is no status page: port {ports.chosen(hive).page} cannot be had"
    return Need("page_port", "", None, said, "hive doctor")


def _settings(hive: Hive) -> Need | None:
    """Settings that cannot be used: all of them, or whom to notify."""
    try:
        error = hive.settings.choices.notify_error
    except HiveError as unusable:
        return Need("settings", "", None, f"the settings cannot be used: {unusable.message}", "hive config")
    if error is None:
        return None
    return Need("settings", "", None, f"nobody is notified of anything: {error}", "hive config")
