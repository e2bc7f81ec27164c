"""Hive's own folder: who can read it, whose it is, its settings, and what is left over in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from hive_core import choices
from hive_core.context import Hive
from hive_core.human import count, size
from hive_fleet.checkup.finding import Examination, Finding, Findings
from hive_fleet.upkeep import leftovers, repositories

# What others may do with a file, and whether they come to what is in a folder at all.
_OTHERS, _LETS_IN = 0o077, 0o011


def _home(hive: Hive) -> Findings:
    home = hive.settings.home
    if not home.is_dir():
        yield Finding("home", None, f"{home} is not there yet", "what changes anything first makes it")
        return
    if home.stat().st_uid != os.geteuid():
        yield Finding("home", False, f"{home} belongs to another user", "run hive as that user")
    private = not home.stat().st_mode & _OTHERS
    yield Finding("home", private, f"{home}" + ("" if private else " can be read by others"),
                  "" if private else f"chmod 700 {home}")  # fmt: skip


def _permissions(hive: Hive) -> Findings:
    """Whether what holds messages and logins is closed to others, where they come into hive's folder at all."""
    found = list(_open_to_others(hive))
    if not found:
        yield Finding("permissions", True, "the database and the agents' folders are closed to other users")
    for path in found:
        yield Finding("permissions", False, f"{path} can be read by others", f"chmod go= {path}")


def _open_to_others(hive: Hive) -> Iterator[Path]:
    home, agents = hive.settings.home, hive.settings.agents
    if not home.is_dir() or not home.stat().st_mode & _LETS_IN:
        return
    folders = sorted(agents.iterdir()) if agents.is_dir() else []
    files = [home / name for name in hive.store.file_names()]
    # Where somebody is notified, an address that is as good as a password stands there.
    chosen = hive.settings.choices_or_defaults
    secret = [home / choices.FILE] if chosen.notify or chosen.notify_error else []
    for path in (*files, *folders, *secret):
        if not path.is_symlink() and path.exists() and path.stat().st_mode & _OTHERS:
            yield path


def _close(hive: Hive) -> None:
    for path in (hive.settings.home, *_open_to_others(hive)):
        if path.exists():
            path.chmod(path.stat().st_mode & ~_OTHERS)


def _settings(hive: Hive) -> Findings:
    """Whether the operator's settings can be used. While they cannot, whatever needs them is refused."""
    if (error := hive.settings.choices.notify_error) is not None:
        yield Finding("settings", False, f"nobody is notified of anything. {error}", "correct that line, hive notify")
    own = sum(origin != choices.DEFAULT for origin in hive.settings.choices.origins.values())
    yield Finding("settings", True, f"{count(own, 'setting')} other than the defaults: `hive config` shows them")


def _leftovers(hive: Hive) -> Findings:
    """What a vacuum would remove at once, and what one could not."""
    if not hive.settings.home.is_dir():
        return
    swept = [*leftovers.sweep(hive, True), *repositories.sweep(hive, True)]
    for row in swept:
        if row.ok is False:
            yield Finding("leftovers", False, f"{row.what}: {row.detail}")
    left = sum(row.size for row in swept if not row.what.startswith("repository"))
    packs = sum(row.what.startswith("repository") for row in swept)
    if left or packs:
        said = [f"{size(left)} that nothing needs"] if left else []
        said += [f"{packs} of the repositories can be packed"] if packs else []
        yield Finding("leftovers", None, ", ".join(said), "hive vacuum")
    else:
        yield Finding("leftovers", True, "nothing is left over")


def _sweep(hive: Hive) -> None:
    for part in (leftovers.sweep, repositories.sweep):
        for _ in part(hive, False):
            pass


CHECKS = (
    Examination("home", _home, _close),
    Examination("permissions", _permissions, _close),
    Examination("settings", _settings),
    Examination("leftovers", _leftovers, _sweep),
)
