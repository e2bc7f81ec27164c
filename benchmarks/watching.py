"""What it costs to watch 10, 100 and 500 agents while nothing happens, and how soon an end is told: beside supervisord.

The processor's time is that of the one process, `hive up` (its watch and its gate) or supervisord, by /proc.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crash_seen import end_of_agent, end_of_program
from benchmarks.supervisord import supervisord
from benchmarks.table import Table, parser, scratch, show, throw_away_hive
from hive_cmds import approvals
from tests.hives import CHECKOUT, TestHive, eventually

SIZES = (10, 100, 500)
CONFIGURATION = 'runner = "command"\ncommand = ["sleep", "infinity"]\n'
PEER, OURS = "supervisord", "hive up"


def main() -> None:
    options_of = parser(__doc__ or "", rounds=20)
    options_of.add_argument("--agents", type=int, nargs="+", help="how many agents there are, in turn (10 100 500)")
    options_of.add_argument("--seconds", type=float, default=30.0, help="how long nothing happens, three times (30)")
    options = options_of.parse_args()
    tables = []
    # One round is for trying the script out: five hundred agents take minutes to make.
    trying = options.rounds == 1
    for count in options.agents or (SIZES[:1] if trying else SIZES):
        idle = Table(f"processor while nothing happens to {count} agents", unit="% of a core")
        crash = Table(f"from a kill -9 to the word of it, one of {count} agents")
        with (
            scratch() as folder,
            of_agents(folder / "h", count) as (hive, up),
            supervisord(folder / "s", count) as peer,
        ):
            ticks = {PEER: peer.process.pid, OURS: up}
            for _ in range(1 if trying else 3):
                rest(idle, ticks, 11.0 if trying else options.seconds)
            follow = hive.start("events", "--follow", "--since", newest(hive), "--kind", "container_crash", "--json")
            for _ in range(options.rounds):
                crash.time(PEER, end_of_program(peer))
                peer.start("a:a0")
                crash.time(OURS, end_of_agent(hive, follow))
                hive.run("start", "a")
        tables += [idle, crash]
    show(tables, as_json=options.json)


@contextmanager
def of_agents(folder: Path, count: int) -> Iterator[tuple[TestHive, int]]:
    """A hive that is up with so many agents, the manager among them, and the process that it is."""
    with throw_away_hive(folder) as hive:
        inside = hive.inside()
        for name in ["manager", "a", *(f"a{number}" for number in range(2, count))]:
            hive.configure(name, CONFIGURATION)
            if name != "manager":
                approvals.spawn(inside, name)
        inside.store.close()
        # To files: what nobody reads from a pipe would hold it up in the end.
        to_files = ["sh", "-c", f'exec "$@" >"{hive.root}/shown" 2>"{hive.root}/said"', "sh"]
        up = hive.start("up", program=[*to_files, sys.executable, str(CHECKOUT / "hive")])
        said = hive.root / "said"
        eventually(lambda: said.exists() and f"watching {count} agents" in said.read_text())
        yield hive, up.pid


def newest(hive: TestHive) -> str:
    """The number of the newest event."""
    return str(hive.events()[-1]["seq"])


def rest(table: Table, processes: dict[str, int], seconds: float) -> None:
    """Let nothing happen for a while, and add what each process has used of a core."""
    before = {name: used(pid) for name, pid in processes.items()}
    begin = time.monotonic()
    time.sleep(seconds)
    passed = time.monotonic() - begin
    for name, pid in processes.items():
        table.add(name, 100 * (used(pid) - before[name]) / passed)


def used(pid: int) -> float:
    """Seconds of processor time that a process has used, by the nanosecond (proc(5), schedstat), all threads'."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


if __name__ == "__main__":
    main()
