"""How right and how late verdicts are: a hundred agents are ended a thousand times, beside supervisord, circus and pm2.

Each end is of a kind that is known: a signal, an exit code, its supervisor, out of memory. Meanwhile other agents are
rebuilt, restarted, updated and deployed, and several ends fall together. What is told wrongly, twice or of whom nobody
has ended fails the whole.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.crash_seen import end_of_program
from benchmarks.peers import circus, pm2
from benchmarks.supervisord import supervisord
from benchmarks.table import Table, parser, scratch, show, throw_away_hive
from hive_core.containers.local import cgroups
from tests import verdicts
from tests.hives import TestHive

# Of all agents so many are not ended, but operated on. Ends that may fall together.
OPERATED, AT_ONCE = 20, 4


def main() -> None:
    options = parser(__doc__ or "", rounds=1000, agents=100, peers=20).parse_args()
    count = 6 if options.rounds == 1 else options.agents
    table = Table(f"from the end of one of {count} agents to the committed word of it")
    with scratch() as folder:
        of_peers(table, folder, 1 if options.rounds == 1 else options.peers)
        with throw_away_hive(folder / "h") as hive:
            of_hive(table, hive, count, max(options.rounds, 10))
    show([table], as_json=options.json)


def of_peers(table: Table, folder: Path, rounds: int) -> None:
    with supervisord(folder / "s", 1) as peer:
        for _ in range(rounds):
            table.time("supervisord, event listener", end_of_program(peer))
            peer.start("a:a0")
    for name, made in (("circus, its event of a reaped process", circus), ("pm2, its event of an exit", pm2)):
        with made(folder / name.partition(",")[0]) as other:
            for _ in range(rounds if other is not None else 0):
                assert other is not None
                table.time(name, other.kill)


def of_hive(table: Table, hive: TestHive, count: int, kills: int) -> None:
    names = [f"a{number}" for number in range(count)]
    operated = names[: max(2, count * OPERATED // 100)]
    ended = names[len(operated) :]
    verdicts.make(hive, names)
    ways = (*verdicts.WAYS, *([verdicts.OUT_OF_MEMORY] if cgroups.parents_of("memory") else []))
    with verdicts.watched(hive) as heard, ThreadPoolExecutor(1) as beside:
        others = beside.submit(verdicts.operate, hive, operated, max(4, kills // 5))
        told = verdicts.kill_at_random(hive, heard, ended, kills, ways=ways, at_once=min(AT_ONCE, len(ended) - 1))
        done = others.result()
        assert not told.wrong, "\n".join(told.wrong)
        assert heard.total() == told.done == kills, f"{heard.total()} verdicts of {told.done} ends"
        crashed = {str(event["agent"]) for event in hive.events("container_crash")}
        assert crashed <= set(ended), crashed
    for way, late in told.late.items():
        for lateness in late:
            table.add("hive, all ends", lateness)
            table.add(f"hive, {way}", lateness)
    late = sorted(lateness for each in told.late.values() for lateness in each)
    over = sum(1 for lateness in late if lateness > 250)
    sys.stderr.write(
        f"{told.done} ends of {len(ended)} agents: {heard.total()} verdicts, all of the right cause, none twice; "
        f"{len(done)} operations on {len(operated)} others: none taken for a crash. "
        f"p50 {late[len(late) // 2]:.1f} ms, p99 {late[int(len(late) * 0.99)]:.1f} ms, at the most {late[-1]:.1f} ms; "
        f"{over} later than 250 ms.\n"
    )


if __name__ == "__main__":
    main()
