"""What every benchmark shares: its options, its samples, and the table of medians and ratios that it prints."""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.hives import TestHive


class Table:
    """Samples by what was measured; the first one named is what the others are compared with.

    unit: what a sample is, "ms" or "per s" or "MiB".
    """

    def __init__(self, title: str, unit: str = "ms") -> None:
        self.title, self.unit = title, unit
        self.samples: dict[str, list[float]] = {}

    def add(self, name: str, value: float) -> None:
        self.samples.setdefault(name, []).append(value)

    def time(self, name: str, work: Callable[[], object]) -> None:
        """Add how long `work` takes, in ms."""
        begin = time.perf_counter()
        work()
        self.add(name, (time.perf_counter() - begin) * 1000)

    def rows(self) -> list[dict[str, object]]:
        """One row for each: median, the worst of a hundred (or of all, where there are fewer), ratio of the medians."""
        first = statistics.median(next(iter(self.samples.values())))
        return [
            _row(name, samples, first, fast_is_large=self.unit.endswith("per s"))
            for name, samples in self.samples.items()
        ]

    def text(self) -> str:
        width = max(map(len, self.samples))
        lines = [f"{self.title} ({self.unit})", f"{'':{width}}  {'median':>9}  {'p99':>9}  {'ratio':>6}  samples"]
        for row in self.rows():
            lines.append(
                f"{row['name']:{width}}  {row['median']:>9}  {row['p99']:>9}  {row['ratio']:>6}  {row['samples']}"
            )
        return "\n".join(lines)


def _row(name: str, samples: list[float], first: float, *, fast_is_large: bool) -> dict[str, object]:
    median = statistics.median(samples)
    worst = sorted(samples, reverse=fast_is_large)[min(len(samples) - 1, int(len(samples) * 0.99))]
    return {
        "name": name,
        "median": round(median, 3),
        "p99": round(worst, 3),
        "ratio": round(median / first, 2),
        "samples": len(samples),
    }


def interleaved(table: Table, rounds: int, what: Mapping[str, Callable[[], object]]) -> None:
    """Time each in turn, `rounds` times over, so that a slow moment of the machine falls on all of them."""
    for _ in range(rounds):
        for name, work in what.items():
            table.time(name, work)


def parser(description: str, rounds: int, **counts: int) -> argparse.ArgumentParser:
    """A parser of the options that every benchmark has, and those that say how much of something this one takes."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--rounds", type=int, default=rounds, help=f"samples of each ({rounds})")
    for name, count in counts.items():
        made.add_argument(f"--{name}", type=int, default=count, help=f"how many {name} ({count})")
    made.add_argument("--json", action="store_true", help="print the tables as one JSON array")
    return made


def arguments(description: str, rounds: int, **counts: int) -> argparse.Namespace:
    """Read the options of `parser`, and no others."""
    return parser(description, rounds, **counts).parse_args()


def show(tables: list[Table], *, as_json: bool) -> None:
    """Print the tables, those that hold anything."""
    filled = [table for table in tables if table.samples]
    if as_json:
        print(json.dumps([{"title": table.title, "unit": table.unit, "rows": table.rows()} for table in filled]))
    else:
        print("\n\n".join(table.text() for table in filled))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder for one run, with a short name: a socket's address has room for 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="hb-") as folder:
        yield Path(folder)


@contextmanager
def throw_away_hive(folder: Path) -> Iterator[TestHive]:
    """A hive of its own, gone with everything that it runs when the block ends."""
    hive = TestHive(folder)
    try:
        yield hive
    finally:
        host = hive.inside().host
        for name in host.containers():
            host.stop(name, grace=0)
        hive.close()
