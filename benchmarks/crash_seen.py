"""From the kill -9 of an agent to the word of it: `hive events --follow` beside supervisord's event listener."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.supervisord import Supervisord, supervisord
from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from tests.hives import CHECKOUT, TestHive, eventually, line_of

CONFIGURATION = 'runner = "command"\ncommand = ["sleep", "infinity"]\n'


def main() -> None:
    options = arguments(__doc__ or "", rounds=30)
    table = Table("from a kill -9 to the word of it")
    with scratch() as folder, throw_away_hive(folder / "h") as hive, supervisord(folder / "s", 1) as peer:
        hive.spawn("a")
        hive.run("approve", str(hive.request("a", CONFIGURATION)))
        watch(hive)
        follow = hive.start("events", "--follow", "--kind", "container_crash", "--json")
        # Its first line must be of a crash that it saw coming: this one, which is not measured.
        crash(hive, follow)
        for _ in range(options.rounds):
            table.time("supervisord, event listener", end_of_program(peer))
            peer.start("a:a0")
            table.time("hive events --follow", end_of_agent(hive, follow))
            hive.run("start", "a")
    show([table], as_json=options.json)


def watch(hive: TestHive) -> None:
    """Start a watch, and come back when it has had its first look: it shows only then what happens."""
    shown = hive.root / "shown"
    to_a_file = ["sh", "-c", f'exec "$@" >"{shown}"', "sh", sys.executable, str(CHECKOUT / "hive")]
    hive.start("watch", "--interval", "3600", program=to_a_file)
    eventually(lambda: hive.run("send", "operator", "seen?") and shown.exists() and shown.read_text())


def crash(hive: TestHive, follow: subprocess.Popen[str]) -> None:
    end_of_agent(hive, follow)()
    hive.run("start", "a")


def end_of_agent(hive: TestHive, follow: subprocess.Popen[str]) -> Callable[[], None]:
    """Find the agent's own process; the function returned kills it and reads the word of it."""
    pid = eventually(lambda: sleeper(hive.pid("a")))

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        assert json.loads(line_of(follow))["kind"] == "container_crash"

    return kill


def sleeper(pid: int) -> int | None:
    """The process below `pid` that runs sleep, once it does."""
    if Path(f"/proc/{pid}/comm").read_text() == "sleep\n":
        return pid
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return next((found for child in below if (found := sleeper(int(child)))), None)


def end_of_program(peer: Supervisord) -> Callable[[], None]:
    """Find the program's process; the function returned kills it and reads the word of it."""
    pid = peer.pid("a:a0")

    def kill() -> None:
        os.kill(pid, signal.SIGKILL)
        assert select.select([peer.told], [], [], 60)[0]
        assert "processname:a0" in peer.told.readline()

    return kill


if __name__ == "__main__":
    main()
