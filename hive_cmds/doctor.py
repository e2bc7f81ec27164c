"""`hive doctor`: what this machine offers, how well it keeps agents apart, and what is missing."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hive_core import choices, disk, repairs
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.failed_repair import FailedRepair
from hive_core.human import ago, count, span
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents import status
from hive_fleet.flake import staleness, upstream


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. ok: whether it is in order; None when it is missing, and is not needed."""

    check: str
    ok: bool | None
    detail: str


@operation(callers=OPERATOR, group="Seeing", columns=("check", "ok", "detail"), empty="Nothing was checked.")
def doctor(hive: Hive) -> list[Finding]:
    """Check what this machine offers: the sandbox, limits, git, the folders."""
    parts = {
        "home": _folders,
        "settings": _settings,
        "repairs": _repairs,
        "hive": _hive,
        "running": _running,
        "programs": _programs,
        "machine": _machine,
    }
    return [finding for name, look in parts.items() for finding in _contained(hive, name, look)]


def _contained(hive: Hive, name: str, look: Callable[[Hive], Iterator[Finding]]) -> Iterator[Finding]:
    """The findings of one part. A part that fails becomes a finding, and the others are still checked."""
    try:
        yield from look(hive)
    except (OSError, sqlite3.Error, HiveError) as error:
        known = error if isinstance(error, HiveError) else disk.refusal(error)
        yield Finding(name, False, f"could not be looked at: {known.message if known else error}")


def _settings(hive: Hive) -> Iterator[Finding]:
    """Whether the operator's settings can be used. While they cannot, whatever needs them is refused."""
    own = sum(origin != choices.DEFAULT for origin in hive.settings.choices.origins.values())
    yield Finding("settings", True, f"{count(own, 'setting')} other than the defaults: `hive config` shows them")


def _repairs(hive: Hive) -> Iterator[Finding]:
    """What was left half-done and could not be mended: why, and when it is tried again."""
    failed: dict[str, FailedRepair] = {}
    if hive.settings.database.exists():
        with hive.store.read() as db:
            failed = repairs.all_failed(hive, db)
    if not failed:
        yield Finding("repairs", True, "nothing is left half-done")
    for repair in failed.values():
        tried = f"tried {count(repair.tries, 'time')} in {ago(repair.since)}"
        left = span(repair.due_at - hive.clock())
        yield Finding("repairs", False, f"{repair.what}: {repair.error} ({tried}; again in {left})")


def _hive(hive: Hive) -> Iterator[Finding]:
    """Whether the agents were built with the hive that there is now."""
    stale = [view.name for view in status.of_all(hive) if view.needs_update]
    yield Finding("hive", None if stale else True, staleness.notice(stale) if stale else "every agent has the newest")
    if upstream.uncommitted(hive):
        detail = f"{hive.settings.source / 'hive_agent'} has changes that are not committed: no agent is given them"
        yield Finding("checkout", None, detail)


def _machine(hive: Hive) -> Iterator[Finding]:
    yield from (Finding(*row) for row in hive.host.capabilities())


def _folders(hive: Hive) -> Iterator[Finding]:
    home = hive.settings.home
    if home.is_dir():
        private = home.stat().st_mode & 0o077 == 0
        yield Finding("home", private, f"{home}" + ("" if private else f" can be read by others: chmod 700 {home}"))
    else:
        yield Finding("home", None, f"{home} is not there yet: what changes anything first makes it")
    yield Finding("python", True, f"{sys.executable}, {sys.version.split()[0]}")
    as_one = "all agents run as your own user (hive is not root)"
    apart = as_one if hive.host.users() is None else "each agent runs as a user of its own"
    yield Finding("users", True, apart)


def _running(hive: Hive) -> Iterator[Finding]:
    """Whether the watch and the gate run: without them agents go on, but nobody hears of them."""
    for name, does in {"watch": "sees crashes, restarts agents", "gate": "carries the agents' messages"}.items():
        pid = hive.running(name)
        detail = f"process {pid} {does}" if pid else f"nobody {does}: `hive up` does"
        yield Finding(name, True if pid else None, detail)


def _programs(_hive: Hive) -> Iterator[Finding]:
    git = shutil.which("git")
    yield Finding("git", git is not None, git or "missing: apt-get install git")
