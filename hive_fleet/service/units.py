"""The units, as text: one service or three that keep the fleet, and timers for its upkeep and its backup."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hive_fleet.service.escaping import assignment, command, path
from hive_fleet.service.layout import Layout

# The first line of each: what has another is not ours to write over or to remove.
MARK = "# Made by `hive install-service`, which writes it anew; `systemctl edit` keeps what you change."
# Every unit that any of the forms has, those first that others belong to.
NAMES = (
    "hive.service",
    "hive-watch.service",
    "hive-gate.service",
    "hive-page.service",
    "hive-vacuum.service",
    "hive-vacuum.timer",
    "hive-backup.service",
    "hive-backup.timer",
)
KEPT_BACKUPS = 14

# What both a machine's and a user's service do without. Left out is what keeps agents from working:
# MemoryDenyWriteExecute (node), RestrictSUIDSGID (git init --shared), ProtectHostname and ProtectControlGroups
# (sandboxes).
_HARDENED = (
    "NoNewPrivileges=yes",
    "LockPersonality=yes",
    "RestrictRealtime=yes",
    "SystemCallArchitectures=native",
)
# What needs a view of the machine of the service's own, which a user's service cannot have without losing sandboxes.
_HARDENED_SYSTEM = (
    "ProtectSystem=strict",
    # Read-only and not hidden: agents' programs may lie in anybody's home.
    "ProtectHome=read-only",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectKernelTunables=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelLogs=yes",
    "ProtectClock=yes",
    "ProtectProc=invisible",
    "RestrictNamespaces=mnt pid ipc uts cgroup",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "SystemCallFilter=@system-service @mount sethostname seccomp",
    "SystemCallErrorNumber=EPERM",
    # To be each agent's user, to hand over and remove its files, to end and see it, and to build its sandbox.
    "CapabilityBoundingSet=CAP_SETUID CAP_SETGID CAP_SETPCAP CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH"
    " CAP_KILL CAP_SYS_PTRACE CAP_SYS_ADMIN",
)
_KEEPING = (
    # Limits on this unit bind the agents: their groups stand below its own.
    "Delegate=memory pids cpu",
    "OOMPolicy=continue",
    "WatchdogSec=5min",
    "TimeoutStopSec=5min",
)


# Agents are ended by hive, each as it should be. When hive itself is killed or stuck, they work on, and it is started
# beside them: in a group of its own, as no process can be where others' groups are bounded (cgroups(7)).
_SPARING = ("KillMode=process", "DelegateSubgroup=hive")
# An older systemd cannot do that, so that nothing may be left when hive has ended.
_ENDING = ("KillMode=mixed",)
SPARING_SINCE = 254


def render(layout: Layout, *, apart: bool, spare: bool) -> Mapping[str, str]:
    """The text of each unit by its name.

    apart: watch, gate and page are three services. spare: the agents go on when the service is stopped.
    """
    units = _apart(layout) if apart else _together(layout, spare=spare)
    return {
        **units,
        "hive-vacuum.service": _once(layout, "remove what is old or left over", ["vacuum"]),
        "hive-vacuum.timer": _timer("hive's upkeep", "hourly", "10min"),
        "hive-backup.service": _once(
            layout,
            "back up the database and the repositories",
            ["backup", str(layout.backups), "--keep", str(KEPT_BACKUPS)],
            writes=[str(layout.backups)],
        ),
        "hive-backup.timer": _timer("hive's backup", "daily", "1h"),
    }


def enabled(units: Iterable[str]) -> list[str]:
    """Those that are to be started with the machine; a timer starts its service."""
    timed = {f"{unit.removesuffix('.timer')}.service" for unit in units if unit.endswith(".timer")}
    return [unit for unit in units if unit not in timed]


def _together(layout: Layout, *, spare: bool) -> dict[str, str]:
    words = ["up"] if spare else ["up", "--stop"]
    return {"hive.service": _service(layout, "a fleet of AI coding agents", words, _keeping(layout))}


def _apart(layout: Layout) -> dict[str, str]:
    return {
        "hive-watch.service": _service(layout, "watch over the agents", ["watch", "--start"], _keeping(layout)),
        "hive-gate.service": _service(layout, "the sockets", ["gate"]),
        "hive-page.service": _service(layout, "the status page", ["page"]),
    }


def _keeping(layout: Layout) -> list[str]:
    return [*_KEEPING, *(_SPARING if layout.systemd >= SPARING_SINCE else _ENDING)]


def _service(layout: Layout, about: str, words: list[str], more: Iterable[str] = ()) -> str:
    lines = [
        "Type=notify",
        "NotifyAccess=main",
        f"ExecStart={command(*layout.hive, *words)}",
        "Restart=on-failure",
        "RestartSec=5",
        # Told to end before it can say how.
        "SuccessExitStatus=130",
        *more,
    ]
    target = "default.target" if layout.user else "multi-user.target"
    after = "" if layout.user else "After=network.target\n"
    return _unit(layout, about, lines, unit=after, install=f"\n[Install]\nWantedBy={target}\n")


def _once(layout: Layout, about: str, words: list[str], *, writes: Iterable[str] = ()) -> str:
    lines = ["Type=oneshot", f"ExecStart={command(*layout.hive, *words)}", "Nice=10", "IOSchedulingClass=idle"]
    return _unit(layout, about, lines, writes=writes)


def _unit(
    layout: Layout, about: str, lines: Iterable[str], *, unit: str = "", install: str = "", writes: Iterable[str] = ()
) -> str:
    service = "\n".join([*lines, *_places(layout, writes), *_hardened(layout)])
    return f"{MARK}\n[Unit]\nDescription=hive: {about}\n{unit}\n[Service]\n{service}\n{install}"


def _places(layout: Layout, writes: Iterable[str]) -> list[str]:
    """What it keeps and where: hive's own folders are made by systemd where they are the usual ones."""
    lines = []
    if layout.home is not None:
        lines.append(f"Environment={assignment('HIVE_HOME', str(layout.home))}")
    if layout.run is not None:
        lines.append(f"Environment={assignment('HIVE_RUN', str(layout.run))}")
    if layout.runtime is not None:
        # Preserved: agents that run hold the folder, and would hold one that is gone.
        lines += [f"RuntimeDirectory={path(layout.runtime)}", "RuntimeDirectoryPreserve=yes"]
    if layout.user:
        return lines
    if layout.home is None:
        lines += ["StateDirectory=hive", "StateDirectoryMode=0700"]
    own = [str(folder) for folder in layout.own_folders]
    return lines + [f"ReadWritePaths={path(folder)}" for folder in (*own, *writes)]


def _hardened(layout: Layout) -> list[str]:
    if layout.user:
        return [*_HARDENED, "RestrictNamespaces=user mnt pid ipc uts cgroup"]
    shared = [] if layout.needs_shared_folders else ["PrivateTmp=yes"]
    return [*_HARDENED, *_HARDENED_SYSTEM, *shared]


def _timer(about: str, when: str, spread: str) -> str:
    lines = f"OnCalendar={when}\nRandomizedDelaySec={spread}\nPersistent=yes\n"
    return f"{MARK}\n[Unit]\nDescription={about}\n\n[Timer]\n{lines}\n[Install]\nWantedBy=timers.target\n"
