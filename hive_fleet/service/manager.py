"""systemd itself: whether it runs here, and what it is asked."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from hive_core.errors import ProgramFailed
from hive_core.process import run
from hive_fleet.service.layout import Layout

# Where none is installed: any that may yet be is newer than what matters here.
_NEWEST = 999


def version() -> int:
    """Which systemd is installed."""
    try:
        said = run(["systemctl", "--version"]).stdout.split()
    except ProgramFailed:
        return _NEWEST
    return int(said[1]) if len(said) > 1 and said[1].isdecimal() else _NEWEST


def runs(layout: Layout) -> bool:
    """Whether a service manager runs that these units are for (sd_booted(3))."""
    if layout.user:
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        return runtime is not None and Path(runtime, "systemd/private").exists()
    return Path("/run/systemd/system").is_dir()


def ask(layout: Layout, *words: str) -> None:
    """Have it do something. Raises ProgramFailed."""
    kept = {name: os.environ[name] for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if name in os.environ}
    run(argv(layout, *words), env=kept, timeout=600.0)


def argv(layout: Layout, *words: str) -> Sequence[str]:
    """The command line that asks it, as a person types it, too."""
    return ["systemctl", *(["--user"] if layout.user else []), *words]


def lingers() -> bool:
    """Whether this user's services run without a login of theirs."""
    import pwd

    return Path("/var/lib/systemd/linger", pwd.getpwuid(os.getuid()).pw_name).exists()


def stop_quietly(layout: Layout, units: Sequence[str]) -> str | None:
    """Stop units and have them started no more; why that could not be done, or None."""
    try:
        ask(layout, "disable", "--now", *units)
    except ProgramFailed as error:
        return error.message
    return None
