"""The units of containers, as systemd tells of them, and what is asked of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from hive_core.containers.nixos.places import Places
from hive_core.errors import HiveError, TookTooLong
from hive_core.process import Owner, failure, run

_ASKED = ("Id", "ActiveState", "InvocationID", "MainPID", "ExecMainStartTimestamp")
_ACTIVE = ("active", "activating", "deactivating", "reloading")
# How long systemd, and what ends in a container, may take after a signal that nothing survives.
SECONDS_TO_END = 60.0
START_SECONDS = 300.0
# What is left of a run that was killed may be in the way, for a moment: how often it is tried, and after how long.
_TRIES, _PAUSE = 20, 0.1
# The journal may be behind: how often it is asked for that before a start is said to have failed of itself.
_LOOKS = 5
_STILL_THERE = ("already exists", "exists already", "is busy", "currently in use")


@dataclass(frozen=True, slots=True)
class ContainerUnit:
    """A container's unit as it is now.

    active: whether systemd still has to do with it. invocation: names this one start, "" when there was none.
    pid: of its first process, 0 for none. started_at: unix seconds.
    """

    active: bool
    invocation: str
    pid: int
    started_at: float | None

    @property
    def running(self) -> bool:
        """Whether its first process is there: systemd takes a moment to notice that it is not."""
        return self.active and self.pid > 0 and Owner.of(self.pid) is not None


def look(places: Sequence[Places]) -> dict[str, ContainerUnit]:
    """The units of these containers, by the agents' names, in one question."""
    if not places:
        return {}
    names = {each.unit: each.name for each in places}
    options = ["--timestamp=us+utc", f"--property={','.join(_ASKED)}"]
    told = run(["systemctl", "show", *options, "--", *names], timeout=60.0).stdout
    found = {}
    for block in told.strip().split("\n\n"):
        fields = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if fields.get("Id") in names:
            found[names[fields["Id"]]] = _unit(fields)
    return found


def _unit(fields: dict[str, str]) -> ContainerUnit:
    pid = int(fields.get("MainPID") or 0)
    active = fields.get("ActiveState") in _ACTIVE
    return ContainerUnit(active, fields.get("InvocationID", ""), pid, _moment(fields.get("ExecMainStartTimestamp", "")))


def _moment(text: str) -> float | None:
    """A moment as systemd writes it: "Wed 2026-11-25 23:52:11.123456 UTC"; None for none."""
    words = text.split()
    if len(words) != 4:
        return None
    with suppress(ValueError):
        return datetime.fromisoformat(f"{words[1]}T{words[2]}").replace(tzinfo=UTC).timestamp()
    return None


def reread() -> None:
    """Have systemd read the units of the machine again, all of them: that takes as long as several starts."""
    run(["systemctl", "daemon-reload"], timeout=60.0)


def start(places: Places, before: ContainerUnit) -> ContainerUnit:
    """Start what was so before; how it is then.

    Raises HiveError where systemd could not even run it; that it ended again at once is no such thing.
    """
    for _ in range(_TRIES):
        asked = time.time()
        done = run(["systemctl", "start", "--", places.unit], timeout=START_SECONDS, check=False)
        now = look([places])[places.name]
        if now.running and now.started_at is not None and now.started_at < asked:
            # Somebody else has started it since, maybe for a hive that was killed, and who knows with what.
            stop(places, 0)
            before = now
            continue
        said = "" if done.code == 0 else _in_the_way(now.invocation)
        if not said:
            break
        time.sleep(_PAUSE)
    else:
        raise HiveError(f"The container of {places.name} could not be started: {said}", "Try again.")
    if now.invocation in ("", before.invocation) or now.started_at is None:
        raise HiveError(f"The container of {places.name} could not be started: {failure(done)}")
    return now


def _in_the_way(invocation: str) -> str:
    """What a start of a container wrote that failed by what is left of the one before; "" when by something else.

    systemctl tells nothing of it.
    """
    words = ["--quiet", "--no-pager", "--output=cat", "--lines=20", f"_SYSTEMD_INVOCATION_ID={invocation}"]
    for look in range(_LOOKS):
        time.sleep(_PAUSE if look else 0)
        said = run(["journalctl", *words], check=False).stdout.strip()
        if any(each in said for each in _STILL_THERE):
            return said
    return ""


def stop(places: Places, grace: float) -> None:
    """End it: SIGTERM's way, after `grace` seconds SIGKILL, at once with grace 0. Raises HiveError."""
    if grace:
        with suppress(TookTooLong):
            run(["systemctl", "stop", "--", places.unit], timeout=grace)
            return
    # What has ended meanwhile cannot be killed, and need not be.
    run(["systemctl", "kill", "--signal=SIGKILL", "--", places.unit], check=False)
    run(["systemctl", "stop", "--", places.unit], timeout=SECONDS_TO_END)
