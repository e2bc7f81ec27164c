"""Where nixos-container keeps a container, and what an agent's is called there."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from hive_core.arguments import agent_name
from hive_core.errors import Refused

PREFIX = "h-"
# nixos-container takes 11 characters, for a network interface is named by them.
MOST = 11 - len(PREFIX)
_UNIT = re.compile(rf"/container@{PREFIX}([a-z][a-z0-9-]*)\.service(?:/|$)", re.MULTILINE)
# Paths stand in lines that systemd and nixos-container split into words.
_PLAIN = re.compile(r"[A-Za-z0-9_./@:+,=-]+", re.ASCII)
# What a test says by that the machine is a folder of its own, with what plays nixos-container's role.
ROOT, TESTING = "HIVE_NIXOS_ROOT", "HIVE_TESTING"


@dataclass(frozen=True, slots=True)
class Places:
    """The files of one agent's container on the machine. root: of the machine, "" for the real one."""

    name: str
    root: str

    @property
    def container(self) -> str:
        return PREFIX + self.name

    @property
    def unit(self) -> str:
        return f"container@{self.container}.service"

    @property
    def conf(self) -> Path:
        return Path(f"{self.root}/etc/nixos-containers/{self.container}.conf")

    @property
    def drop_in(self) -> Path:
        return Path(f"{self.root}/run/systemd/system/{self.unit}.d/hive.conf")

    @property
    def profile(self) -> Path:
        return Path(f"{self.root}/nix/var/nix/profiles/per-container/{self.container}/system")

    @property
    def journal(self) -> Path:
        """The container's own, which is there whether it runs or not."""
        return Path(f"{self.root}/var/lib/nixos-containers/{self.container}/var/log/journal")


def of(name: str) -> Places:
    """Where an agent's container is. Raises Refused for a name that none can have."""
    if not can_be(name):
        raise Refused(
            f"{name} has {len(name)} characters; on the backend nixos an agent's name has at most {MOST}.",
            "Choose a shorter name: nixos-container takes 11 characters, of which two are hive's.",
        )
    return Places(name, os.environ.get(ROOT, "") if TESTING in os.environ else "")


def can_be(name: str) -> bool:
    """Whether an agent of this name can have a container here. Raises Invalid for what is no name of an agent."""
    return len(agent_name(name)) <= MOST


def in_group(groups: str) -> str | None:
    """Whose container the control groups of a process are, as /proc/PID/cgroup has them; None for none of ours."""
    found = _UNIT.search(groups)
    return found[1] if found else None


def plain(path: Path) -> str:
    """A path for a line that is split into words. Raises Refused for one that would be more than one word."""
    if not _PLAIN.fullmatch(str(path)):
        raise Refused(
            f"{path} cannot be shown to a container of nixos-container's: its name has a blank or a special character.",
            "Have HIVE_HOME and HIVE_RUN in folders with plain names.",
        )
    return str(path)
