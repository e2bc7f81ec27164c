"""What a deploy costs, whole, and what a container costs to start and to keep, beside bare bubblewrap."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crash_seen import CONFIGURATION
from benchmarks.table import Table, arguments, scratch, show, throw_away_hive
from tests.hives import TestHive, eventually

AGENTS = 20


def main() -> None:
    options = arguments(__doc__ or "", rounds=10)
    if shutil.which("bwrap") is None:
        sys.exit("deploys.py needs bwrap (apt-get install bubblewrap)")
    deploys, starts, memory = (
        Table("a deploy, as commands (the first: git alone commits and tags)"),
        Table("a start"),
        Table(f"memory of a container, PSS, {AGENTS} at once", "MiB"),
    )
    agents = [f"a{number}" for number in range(min(AGENTS, options.rounds * 2))]
    with scratch() as folder, throw_away_hive(folder / "h") as hive:
        for name in agents:
            hive.spawn(name)
            hive.run("approve", str(hive.request(name, CONFIGURATION)))
        for number in range(options.rounds):
            deploy(hive, deploys, number)
            start(hive, starts)
        for name in agents:
            memory.add("hive: supervisor, sandbox and sleep", pss(hive.pid(name)))
            memory.add("bwrap and sleep", alone())
    memory.samples = dict(reversed(memory.samples.items()))
    show([deploys, starts, memory], as_json=options.json)


def deploy(hive: TestHive, table: Table, number: int) -> None:
    sha = ""

    def commit() -> None:
        nonlocal sha
        sha = hive.propose("a0", f"{CONFIGURATION}# {number}\n")
        hive.git("agents/a0/config", "tag", f"t{number}")

    table.time("git add, commit, rev-parse, tag", commit)
    request = ["request-commit", "a0", sha]
    table.time("hive request-commit", lambda: hive.run(*request))
    newest = hive.json("approvals")[-1]["id"]
    table.time("hive approve (stops and starts the agent)", lambda: hive.run("approve", str(newest)))


_BARE = ["bwrap", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--unshare-all", "--die-with-parent"]


def start(hive: TestHive, table: Table) -> None:
    table.time("bwrap true", lambda: subprocess.run([*_BARE, "true"], check=True))
    hive.run("kill", "a0")
    table.time("hive start, as a command", lambda: hive.run("start", "a0"))
    host = hive.inside().host
    assert host.containers()["a0"].running


def alone() -> float:
    """The memory of bubblewrap by itself with the same program in it."""
    process = subprocess.Popen([*_BARE, "sleep", "infinity"])
    try:
        eventually(lambda: "sleep" in names(process.pid))
        return pss(process.pid)
    finally:
        process.kill()
        process.wait()


def family(pid: int) -> list[int]:
    """A process and all below it."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in below for one in family(int(child)))]


def names(pid: int) -> list[str]:
    return [Path(f"/proc/{one}/comm").read_text().strip() for one in family(pid)]


def pss(pid: int) -> float:
    """The memory of a process and all below it, in MiB: what is shared, by its share (proc(5), smaps_rollup)."""
    total = 0
    for one in family(pid):
        for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total / 1024


if __name__ == "__main__":
    main()
