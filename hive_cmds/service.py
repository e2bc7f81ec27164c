"""hive as a service of systemd: its units are written, and removed again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from hive_agent import atomic
from hive_core.arguments import words
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.operation import OPERATOR, operation
from hive_fleet.service import manager, units
from hive_fleet.service.layout import Layout, layout

BackupFolder = Annotated[str, words(4096, "a path", "DIR")]


@dataclass(frozen=True, slots=True)
class UnitFile:
    """A unit. state: written, unchanged, removed, or `not written`. content: what it holds, or held."""

    unit: str
    path: str
    state: str
    content: str

    def in_full(self) -> str:
        """What has become of it; all of it where it was only to be shown."""
        return f"# {self.path}\n{self.content}" if self.state == "not written" else f"{self.path}: {self.state}"


@operation(callers=OPERATOR, group="Running", shell_only=True, empty="There was no service of hive's.")
def install_service(
    hive: Hive,
    user: bool = False,
    apart: bool = False,
    spare: bool = False,
    backups: BackupFolder | None = None,
    remove: bool = False,
    dry_run: bool = False,
) -> list[UnitFile]:
    """Write systemd units that keep this hive up, from the machine's start on, and timers for its upkeep and backup.

    user: for your own user, not for the machine
    apart: the watch, the sockets and the page as three services, in place of one; they spare the agents, too
    spare: when the service is stopped, the agents go on
    backups: where the daily backups go; by default /var/backups/hive, or hive-backups beside your own state folder
    remove: stop the service and remove its units; the agents' state and the backups stay
    dry_run: only print the units
    """
    if not user and os.geteuid() != 0 and not dry_run:
        raise Refused("Only root may install a service of the machine.", "`--user` installs one of your own.")
    kept = Path(backups).absolute() if backups else None
    place = layout(hive.settings, os.environ, user=user, backups=kept, systemd=manager.version())
    if (spare or apart) and place.systemd < units.SPARING_SINCE:
        raise Refused(
            f"This systemd ({place.systemd}) cannot start a service beside what it has left running.",
            f"`--spare` and `--apart` need {units.SPARING_SINCE} or newer; without them agents end with hive.",
        )
    if remove:
        return _remove(hive, place, list(units.NAMES), dry_run=dry_run)
    texts = units.render(place, apart=apart, spare=spare)
    if dry_run:
        return [UnitFile(name, str(place.units / name), "not written", text) for name, text in texts.items()]
    _refuse_foreign(place)
    written = _remove(hive, place, [name for name in units.NAMES if name not in texts], dry_run=False)
    for folder in (place.backups, *place.own_folders):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written += [_write(place, name, text) for name, text in texts.items()]
    if manager.runs(place):
        manager.ask(place, "daemon-reload")
    _say_what_is_next(hive, place, units.enabled(texts))
    return written


def _refuse_foreign(place: Layout) -> None:
    """Raise Refused where a unit of one of our names is somebody else's."""
    for name in units.NAMES:
        if (place.units / name).exists() and not _is_ours(place.units / name):
            raise Refused(f"{place.units / name} was not written by hive.", "Move it away, or remove it.")


def _is_ours(path: Path) -> bool:
    return path.is_file() and path.read_text(errors="replace").startswith(units.MARK)


def _write(place: Layout, name: str, text: str) -> UnitFile:
    path = place.units / name
    same = path.exists() and path.read_text(errors="replace") == text
    if not same:
        path.parent.mkdir(parents=True, exist_ok=True)
        # By one name each: what a killed process leaves is replaced with it, and removed with the unit.
        atomic.write(path, text, mode=0o644, temporary=_beside(path))
    return UnitFile(name, str(path), "unchanged" if same else "written", text)


def _beside(unit: Path) -> Path:
    return unit.with_name(f".{unit.name}.new")


def _remove(hive: Hive, place: Layout, names: list[str], *, dry_run: bool) -> list[UnitFile]:
    found = [name for name in names if _is_ours(place.units / name)]
    removed = [UnitFile(name, str(place.units / name), "removed", (place.units / name).read_text()) for name in found]
    if dry_run:
        return [UnitFile(unit.unit, unit.path, "would be removed", unit.content) for unit in removed]
    if found and manager.runs(place):
        trouble = manager.stop_quietly(place, found)
        if trouble is not None:
            hive.say(f"warning: {trouble}")
    for name in names:
        _beside(place.units / name).unlink(missing_ok=True)
    for name in found:
        (place.units / name).unlink(missing_ok=True)
    # Also where there is nothing: somebody may have been killed who had just removed it.
    if manager.runs(place):
        manager.ask(place, "daemon-reload")
    return removed


def _say_what_is_next(hive: Hive, place: Layout, started: list[str]) -> None:
    """What to type now. Nothing is started here: who installs may want to look first."""
    systemctl = " ".join(manager.argv(place))
    if not manager.runs(place):
        hive.say("systemd does not run here: the units are read when it does")
    hive.say(f"start it, now and with the machine: {systemctl} enable --now {' '.join(started)}")
    hive.say(f"after an upgrade: {systemctl} restart {' '.join(name for name in started if name.endswith('.service'))}")
    if place.user and not manager.lingers():
        hive.say("have it run without a login of yours: loginctl enable-linger")
