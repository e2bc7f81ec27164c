"""The doctor: what this machine offers, how far agents are kept apart on it, and what is missing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from hive_cmds import toolbox
from hive_core import nix
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_core.settings import CLIS


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. ok: whether hive can do its work with it; None when it is not there, and need not be."""

    check: str
    ok: bool | None
    detail: str


@operation(callers=OPERATOR, group="Seeing", columns=("check", "ok", "detail"), empty="Nothing was checked.")
def doctor(hive: Hive) -> list[Finding]:
    """Check what this machine offers: the sandbox, limits, git, nix, the folders."""
    return [*_folders(hive), *_running(hive), *_programs(hive), *(Finding(*row) for row in hive.host.capabilities())]


def _folders(hive: Hive) -> Iterator[Finding]:
    home = hive.settings.home
    private = home.stat().st_mode & 0o077 == 0
    yield Finding("home", private, f"{home}" + ("" if private else f" can be read by others: chmod 700 {home}"))
    yield Finding("python", True, f"{sys.executable}, {sys.version.split()[0]}")
    as_root = os.geteuid() == 0
    apart = "each agent runs as a user of its own" if as_root else "all agents run as your own user (hive is not root)"
    yield Finding("users", True, apart)


def _running(hive: Hive) -> Iterator[Finding]:
    """Who watches and who serves the sockets: without them agents run on, and nobody hears them."""
    for name, does in {"watch": "sees crashes, restarts agents", "gate": "carries the agents' messages"}.items():
        pid = hive.running(name)
        detail = f"process {pid} {does}" if pid else f"nobody {does}: `hive up` does"
        yield Finding(name, True if pid else None, detail)


def _programs(hive: Hive) -> Iterator[Finding]:
    git = shutil.which("git")
    yield Finding("git", git is not None, git or "missing: apt-get install git")
    for name in CLIS:
        found = toolbox.program(hive.settings, name)
        missing = f"not found: agents with the runner {name} wait for it; put it on the PATH of `hive`"
        yield Finding(name, None if found is None else True, missing if found is None else str(found))
    tool = nix.installed(hive.settings.home / "cache")
    words = "not usable here; hive writes the meta flake's lock itself"
    yield Finding(
        "nix", True, words if tool is None else f"{tool.version[0]}.{tool.version[1]} writes the meta flake's lock"
    )
