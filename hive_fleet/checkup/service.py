"""What runs, or should: the watch, the gate and its sockets, the upkeep, backups."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

from hive_core import last_backup, run_folder
from hive_core.context import Hive
from hive_core.human import ago, count
from hive_fleet.checkup.finding import Examination, Finding, Findings
from hive_fleet.home import ports
from hive_fleet.home.status_page import LACKING
from hive_fleet.notifications import outbox
from hive_fleet.notifications.rules import wishes

DAY = 86400.0
# Days after which a backup is old, and the upkeep late.
OLD_BACKUP, LATE = 7, 1


def _running(hive: Hive) -> Findings:
    """Whether the watch and the gate run: without them agents go on, but nobody hears of them."""
    for name, does in {"watch": "sees crashes, restarts agents", "gate": "carries the agents' messages"}.items():
        pid = hive.running(name)
        yield (
            Finding(name, True, f"process {pid} {does}")
            if pid
            else Finding(name, None, f"nobody {does}", "`hive up` does")
        )


def _second(hive: Hive) -> Findings:
    """Whether the folder of the sockets is this hive's: another's would have its agents."""
    if run_folder.is_anothers(hive.settings):
        said = f"{hive.settings.run} holds the sockets of another hive"
        yield Finding("run", False, said, "give each a folder of its own: HIVE_RUN names it")
    else:
        yield Finding("run", True, f"{hive.settings.run}")


def _page(hive: Hive) -> Findings:
    """Whether who would serve the status page has its port."""
    if hive.running(LACKING) is None:
        return
    said = f"port {ports.chosen(hive).page} is another program's, or may not be had"
    yield Finding("status page", False, said, "end that program, or name another port: `ports.page` in hive.toml")


def _sockets(hive: Hive) -> Findings:
    """Whether a socket is left that nobody listens on: whoever calls it is refused without a word of why."""
    stale = list(_stale(hive))
    if not stale:
        yield Finding("sockets", True, "nobody has left one behind")
        return
    more = f", nor on {count(len(stale) - 1, 'other')} here" if len(stale) > 1 else ""
    # A gate that runs makes its own: one that it does not serve is taken from it only when it starts again.
    wrong = hive.running("gate") is not None
    todo = "end `hive up` and start it again" if wrong else "`hive up` makes it anew, `hive doctor --fix` removes it"
    yield Finding("sockets", False if wrong else None, f"nobody listens on {stale[0]}{more}", todo)


def _stale(hive: Hive) -> Iterator[Path]:
    if run_folder.is_anothers(hive.settings):
        return
    for pattern in ("*.sock", "agents/*.sock", "sockets/*/*.sock"):
        for path in sorted(hive.settings.run.glob(pattern)):
            if path.is_socket() and not _is_served(path):
                yield path


def _is_served(path: Path) -> bool:
    """Whether somebody listens on a socket: the gate, or a service manager that keeps it for one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True  # It is too busy, or its path too long to say; either way it is not known to be stale.
        return True


def _remove_stale(hive: Hive) -> None:
    """Remove them; a gate that runs makes its own, and is the only one."""
    if hive.running("gate") is None:
        with hive.lone("gate", "hive doctor"):
            for path in _stale(hive):
                path.unlink(missing_ok=True)


def _upkeep(hive: Hive) -> Findings:
    """Whether anybody removes what is old."""
    last = hive.settings.locks / "vacuum.lock"
    at = last.stat().st_mtime if last.exists() else None
    if at is not None and time.time() - at < LATE * DAY:
        yield Finding("upkeep", True, f"{ago(at)} ago")
    else:
        said = "none was made yet" if at is None else f"the last was {ago(at)} ago"
        yield Finding("upkeep", None, said, "`hive up` does it every hour, `hive vacuum` now")


def _backups(hive: Hive) -> Findings:
    """How old the newest backup is that was made here, and whether it is still where it was put."""
    last = last_backup.read(hive.settings)
    if last is None:
        yield Finding("backup", None, "none was made", "hive backup DIR")
        return
    said = f"{last.folder}, {ago(last.made_at)} ago"
    if time.time() - last.made_at > OLD_BACKUP * DAY:
        yield Finding("backup", None, said, "hive backup DIR")
    else:
        yield Finding("backup", True, said)


def _notifications(hive: Hive) -> Findings:
    """Whether what needs the operator reaches them."""
    named = wishes(hive.settings).services
    with hive.store.read() as db:
        failing = [outbox.failing(db)[name] for name in named if name in outbox.failing(db)]
    for each in failing:
        said = f"{each.service} has taken none for {ago(each.since)}: {each.error}"
        yield Finding("notifications", False, said, "hive notify --test")
    if not named:
        yield Finding("notifications", None, "you are not notified", "name a service (docs/notifications.md)")
    elif not failing:
        yield Finding("notifications", True, f"to {', '.join(named)}")


CHECKS = (
    Examination("running", _running),
    Examination("run", _second),
    Examination("sockets", _sockets, _remove_stale),
    Examination("status page", _page),
    Examination("upkeep", _upkeep),
    Examination("backup", _backups),
    Examination("notifications", _notifications),
)
