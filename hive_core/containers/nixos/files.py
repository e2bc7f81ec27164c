"""What hive writes for a container: lines of its conf, the drop-in of its unit, and what is remembered of its runs."""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from hive_agent import atomic
from hive_core.containers.base import Ended, View
from hive_core.containers.config import Limits
from hive_core.containers.nixos.places import Places, plain
from hive_core.process import Owner, boot_id

RECORD, RUN, PAGE_KEY = "nixos.json", "start.json", "page-key"
# What systemd has read of the container's unit, and on which boot.
READ = "unit-as-read"
# In a folder of its own: whoever waits for an end watches that.
ENDED = "end/ended"
AT_END = "at-end"
# What nixos-container leaves to us of its conf; all else in it stays.
_OURS = ("EXTRA_NSPAWN_FLAGS", "PRIVATE_NETWORK", "PRIVATE_USERS", "AUTO_START")
# The agent's user in its container (nix/agent.nix); the container's users begin so far below the agent's.
AGENT = 1000
# An end is written down by systemd, whoever runs then, or nobody. Whether it comes back is hive's to say, also where it
# asked for a reboot, which is nspawn's 133: it would be booted again and again, as fast as the machine can.
_DROP_IN = """\
# Written by hive at every start of this container.
[Unit]
StartLimitIntervalSec=0
[Service]
Restart=no
RestartForceExitStatus=
{limits}ExecStopPost=+/bin/sh {script}
"""
# systemd's own result is never oom-kill here: of a unit that has groups of its own it takes such a kill for its affair.
# So they are counted as on the other backends. This runs in a group of its own, right below the container's.
_AT_END = """# Written by hive at every start of this container.
group=$(sed -n 's/^0:://p' /proc/self/cgroup)
case $group in
*/.control) killed=$(sed -n 's/^oom_kill //p' "/sys/fs/cgroup${{group%/.control}}/memory.events" 2>/dev/null) ;;
esac
echo "$INVOCATION_ID $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS ${{killed:-0}}" >{ended}.new && exec mv {ended}.new {ended}
"""
_SECONDS_TO_WRITE = 5.0
# What an agent may use that asks for nothing else: as on the other backends, nearly all, and what stops a fork bomb.
_DEFAULTS = {"MemoryMax": "75%", "TasksMax": "4096", "CPUQuota": ""}


class LastStart(NamedTuple):
    """The last start of a container by hive.

    boot: of the machine. stopped: the signal that hive ended it by, None when it did not. pid, ticks: of its first
    process, 0 where that had ended before it was seen.
    """

    instance: str
    revision: str
    hive: str | None
    started_at: float
    boot: str
    stopped: int | None = None
    pid: int = 0
    ticks: int = 0

    @property
    def lives(self) -> bool:
        """Whether its first process is still there: then it is this start that runs."""
        return self.pid > 0 and Owner(self.pid, self.ticks, self.boot).alive()


def write_conf(places: Places, folder: Path, view: View) -> None:
    """Have the container see what `view` says, and nothing else, as users that are nobody else's."""
    kept = [line for line in places.conf.read_text().splitlines() if line.partition("=")[0] not in _OURS]
    flags = [f"--bind={plain(source.resolve())}:{target}" for target, source in sorted(view.read_write.items())]
    flags += [f"--bind-ro={plain(source.resolve())}:{target}" for target, source in sorted(view.read_only.items())]
    flags.append(f"--load-credential=hive-page-key:{plain(folder / PAGE_KEY)}")
    users = "no" if view.uid is None else str(view.uid - AGENT)
    # The network is the machine's; systemd starts nothing that hive did not.
    own = [f"EXTRA_NSPAWN_FLAGS={' '.join(flags)}", "PRIVATE_NETWORK=0", f"PRIVATE_USERS={users}", "AUTO_START=0"]
    atomic.write(places.conf, "".join(f"{line}\n" for line in [*kept, *own]))


def write_drop_in(places: Places, folder: Path, limits: Limits, reread: Callable[[], None]) -> None:
    """Have systemd write down how the container ends, keep it within its limits, and leave restarts to hive.

    reread: has systemd read its files again; called when it has not read this one on this boot.
    """
    (folder / ENDED).parent.mkdir(exist_ok=True)
    places.drop_in.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(folder / AT_END, _AT_END.format(ended=plain(folder / ENDED)))
    lines = "".join(f"{name}={value}\n" for name, value in properties(limits).items())
    text = _DROP_IN.format(limits=lines, script=plain(folder / AT_END))
    stamp = f"{boot_id()}\n{text}"
    if _text(places.drop_in) != text or _text(folder / READ) != stamp:
        # From here on, until it has read this, nobody knows what it has read.
        (folder / READ).unlink(missing_ok=True)
        atomic.write(places.drop_in, text)
        reread()
        atomic.write(folder / READ, stamp)


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None


def properties(limits: Limits) -> dict[str, str]:
    """The limits as systemd.resource-control(5) spells them."""
    asked = {"MemoryMax": limits.memory, "TasksMax": limits.processes, "CPUQuota": limits.cpu}
    spelt = {
        name: default if asked[name] is None else _spelt(name, float(asked[name] or 0))
        for name, default in _DEFAULTS.items()
    }
    return {name: value for name, value in spelt.items() if value}


def _spelt(name: str, value: float) -> str:
    if math.isinf(value):
        return "" if name == "CPUQuota" else "infinity"
    return f"{value * 100:g}%" if name == "CPUQuota" else str(int(value))


def new_page_key(folder: Path) -> None:
    """A key for the page of a new start, that is nobody's yet."""
    atomic.write(folder / PAGE_KEY, os.urandom(32).hex(), mode=0o600)


def page_key(folder: Path) -> str | None:
    return _text(folder / PAGE_KEY)


def record(folder: Path, values: Mapping[str, Any]) -> None:
    """Remember what the container has: its revision, and the revision of hive that it was built with."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.write(folder / RECORD, json.dumps(values))


def recorded(folder: Path) -> dict[str, Any] | None:
    return _read(folder / RECORD)


def record_run(folder: Path, run: LastStart) -> None:
    atomic.write(folder / RUN, json.dumps(run._asdict()))


def last_run(folder: Path) -> LastStart | None:
    found = _read(folder / RUN)
    return None if found is None else LastStart(**found)


def has_ended(folder: Path, instance: str) -> bool:
    """Whether it was written down that this start has ended."""
    words = _ended_words(folder)
    return words is not None and words[0] == instance


def await_end(folder: Path, run: LastStart) -> None:
    """Wait until it is written down how a run ended, which systemd does in this moment."""
    import time

    end = time.monotonic() + _SECONDS_TO_WRITE
    while not has_ended(folder, run.instance) and time.monotonic() < end:
        time.sleep(0.005)


def ended(folder: Path, run: LastStart) -> Ended:
    """How the last run ended, as it was written down; of an end that nobody saw, when the run began."""
    words = _ended_words(folder)
    if words is None or (words[0] != run.instance and (folder / ENDED).stat().st_mtime < run.started_at):
        return Ended(None, False, run.started_at, run.boot != boot_id())
    _instance, _result, how, status, killed = words
    stopped = run.stopped if words[0] == run.instance else None
    code = _code(how, status) if stopped is None else 128 + stopped
    return Ended(code, killed != "0", (folder / ENDED).stat().st_mtime)


def _ended_words(folder: Path) -> list[str] | None:
    try:
        words = (folder / ENDED).read_text().split()
    except FileNotFoundError:
        return None
    # Those of a start by an older hive end without what its limit killed.
    return {4: [*words, "0"], 5: words}.get(len(words))


def _code(how: str, status: str) -> int | None:
    """The exit code, 128 + n for signal n: systemd.exec(5), $EXIT_CODE and $EXIT_STATUS."""
    if how == "exited" and status.isdigit():
        return int(status)
    number = getattr(signal, f"SIG{status}", None)
    return 128 + number if number is not None else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    return found
