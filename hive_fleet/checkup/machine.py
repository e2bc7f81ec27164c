"""This machine: Python, programs, the sandbox, limits, the disk."""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

from hive_agent.clis import CLIS
from hive_core.context import Hive
from hive_core.human import size
from hive_core.wake import Wake
from hive_fleet.checkup.finding import Examination, Finding, Findings
from hive_fleet.watching.attention import SCARCE, SHARE

# Descriptors and inotify instances that `hive up` with a hundred agents needs.
DESCRIPTORS, INSTANCES = 1024, 64
_INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")


def _python(_hive: Hive) -> Findings:
    yield Finding("python", True, f"{sys.executable}, {sys.version.split()[0]}")


def _users(hive: Hive) -> Findings:
    as_one = "all agents run as your own user (hive is not root)"
    apart = as_one if hive.host.users() is None else "each agent runs as a user of its own"
    yield Finding("users", True, apart)


def _git(_hive: Hive) -> Findings:
    git = shutil.which("git")
    yield Finding("git", git is not None, git or "missing", "" if git else "apt-get install git")


def _capabilities(hive: Hive) -> Findings:
    for what, ok, said in hive.host.capabilities():
        yield Finding(what, ok, said, _advice(what) if ok is False else "")


def _advice(what: str) -> str:
    if what == "sandbox":
        return "apt-get install bubblewrap"
    if what.startswith("limit"):
        return "let hive write the control groups that it runs in (a service with Delegate=memory pids cpu)"
    return "see docs/settings.md" if what in CLIS else "see docs/security.md"


def _disk(hive: Hive) -> Findings:
    """Whether there is room, and for further files."""
    place = hive.settings.home if hive.settings.home.is_dir() else Path("/")
    found = os.statvfs(place)
    free, whole = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    scarce = free < min(SCARCE, whole * SHARE)
    said = f"{size(free)} of {size(whole)} are free"
    yield Finding("disk", not scarce, said, "hive disk, hive vacuum" if scarce else "")
    if found.f_files and found.f_favail < found.f_files * SHARE:
        yield Finding("disk", False, f"only {found.f_favail} further files fit on it", "remove some: hive disk")


def _limits(hive: Hive) -> Findings:
    """Whether a process of hive's may open as much as it needs for many agents."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    enough = soft == resource.RLIM_INFINITY or soft >= DESCRIPTORS
    yield Finding("open files", enough, f"{soft} at once", "" if enough else f"ulimit -n {DESCRIPTORS}")
    most = int(_INSTANCES.read_text())
    used_up = hive.settings.database.exists() and _is_used_up(hive)
    said = f"all {most} instances of this user are in use" if used_up else f"{most} instances for each user"
    todo = f"sysctl fs.inotify.max_user_instances={2 * max(most, INSTANCES)}"
    wrong = used_up or most < INSTANCES
    yield Finding("inotify", not wrong, said, todo if wrong else "")


def _is_used_up(hive: Hive) -> bool:
    with Wake(hive.store) as wake:
        return wake.notice is not None


CHECKS = (
    Examination("python", _python),
    Examination("users", _users),
    Examination("git", _git),
    Examination("machine", _capabilities),
    Examination("disk", _disk),
    Examination("limits", _limits),
)
