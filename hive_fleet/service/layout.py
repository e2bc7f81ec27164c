"""Where a service finds things and keeps them: for the machine, or for one user."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hive_core.settings import Settings, from_environment

_SYSTEM_UNITS = Path("/etc/systemd/system")
# What has no meaning outside of the place where hive is typed.
_SHARED = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108


class Layout(NamedTuple):
    """One service. user: whether it is a user's own. hive: the words that begin every command line of hive.

    units: the folder of the units. home, run: None where they are what hive takes by itself. backups: their folder.
    systemd: its version.
    """

    user: bool
    hive: tuple[str, ...]
    units: Path
    home: Path | None
    run: Path | None
    backups: Path
    systemd: int

    @property
    def runtime(self) -> str | None:
        """The run folder below where systemd makes such folders at each start; None where it lies elsewhere."""
        if self.run is None:
            return "hive"
        below = Path("/run")
        return str(self.run.relative_to(below)) if not self.user and self.run.is_relative_to(below) else None

    @property
    def own_folders(self) -> list[Path]:
        """Those that systemd does not make for the service."""
        run = self.run if self.runtime is None else None
        return [folder for folder in (self.home, run) if folder is not None]

    @property
    def needs_shared_folders(self) -> bool:
        """Whether something lies in /tmp, which a service would else have one of its own of."""
        used = (self.home, self.run, self.backups, Path(self.hive[-1]))
        return any(path is not None and path.is_relative_to(shared) for path in used for shared in _SHARED)


def layout(settings: Settings, environ: Mapping[str, str], *, user: bool, backups: Path | None, systemd: int) -> Layout:
    """How this hive is served on this machine."""
    user_home = Path(environ.get("HOME") or "/nonexistent")
    configuration = Path(environ.get("XDG_CONFIG_HOME") or user_home / ".config")
    usual = from_environment({name: value for name, value in environ.items() if name not in ("HIVE_HOME", "HIVE_RUN")})
    kept = usual.home.parent / "hive-backups" if os.geteuid() != 0 or user else Path("/var/backups/hive")
    return Layout(
        user=user,
        hive=_command(settings.source),
        units=configuration / "systemd/user" if user else _SYSTEM_UNITS,
        home=settings.home if settings.home != usual.home else None,
        run=settings.run if settings.run != usual.run else None,
        backups=backups or kept,
        systemd=systemd,
    )


def _command(source: Path) -> tuple[str, ...]:
    """How hive is started from anywhere: a checkout's own program, or the one that was installed."""
    checkout = source / "hive"
    return sys.executable, str(checkout if checkout.is_file() else Path(sys.prefix, "bin", "hive"))
