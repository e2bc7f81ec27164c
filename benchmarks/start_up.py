"""What a command costs from its start to its end, as whole processes, beside bare Python and supervisorctl."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.supervisord import PROGRAMS, supervisord
from benchmarks.table import Table, arguments, interleaved, scratch, show, throw_away_hive
from tests.hives import CHECKOUT, TestHive

FLEETS = (0, 5, 20)


def main() -> None:
    options = arguments(__doc__ or "", rounds=30)
    tables = []
    with scratch() as folder, supervisord(folder / "s", 20) as peer:
        what = peers(peer.folder / "conf")
        # One round is for trying the script out: the largest fleet takes longest to make.
        for count in FLEETS if options.rounds > 1 else FLEETS[:2]:
            with throw_away_hive(folder / f"h{count}") as hive:
                for number in range(count):
                    hive.run("spawn", f"a{number}")
                hive.run("list")
                # A table for each fleet: the machine is a little slower for everybody while more agents run.
                tables.append(Table(f"a command, from its start to its end, while {count} agents run"))
                interleaved(tables[-1], options.rounds, {**what, **commands(hive, count)})
    show(tables, as_json=options.json)


def run(argv: list[str], environment: dict[str, str]) -> None:
    subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def prompt(argv: list[str], environment: dict[str, str]) -> None:
    """Run what a shell's prompt runs; its code says whether anything needs the operator."""
    done = subprocess.run(argv, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, 1)


def on_a_terminal(argv: list[str], environment: dict[str, str]) -> None:
    """Run a command whose output is a terminal, and read it to the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv, env={**environment, "TERM": "xterm", "COLUMNS": "120"}, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    try:
        while os.read(ours, 65536):
            pass
    except OSError:
        pass  # How Linux tells the end of a terminal (EIO).
    os.close(ours)
    assert process.wait() == 0


def peers(configuration: Path) -> dict[str, Callable[[], None]]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
    python, control = sys.executable, str(PROGRAMS / "supervisorctl")
    return {
        'python -c "import sqlite3, json"': partial(run, [python, "-c", "import sqlite3, json"], environment),
        'python -c "pass"': partial(run, [python, "-c", "pass"], environment),
        "supervisorctl status (20 programs)": partial(run, [control, "-c", str(configuration), "status"], environment),
    }


def commands(hive: TestHive, count: int) -> dict[str, Callable[[], None]]:
    program = [sys.executable, str(CHECKOUT / "hive")]
    what = {
        "hive list": partial(run, [*program, "list"], hive.environment),
        "hive list --json": partial(run, [*program, "list", "--json"], hive.environment),
        "hive needs-you --short": partial(prompt, [*program, "needs-you", "--short"], hive.environment),
        "hive list on a terminal": partial(on_a_terminal, [*program, "list"], hive.environment),
    }
    if count == FLEETS[0]:
        what["./hive list"] = partial(run, [str(CHECKOUT / "hive"), "list"], hive.environment)
        # What `./hive` runs with: the first python3 of the PATH, which may be a wrapper or slow by itself.
        what['python3 -c "pass", as ./hive finds it'] = partial(run, ["python3", "-c", "pass"], hive.environment)
        what["hive --help"] = partial(run, [*program, "--help"], hive.environment)
    return what


if __name__ == "__main__":
    main()
