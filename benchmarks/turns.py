"""What a turn costs beside the model's own time: the harness with a kept process, and the CLI started for each turn."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.table import Table, arguments, interleaved, scratch, show
from tests.agent.conftest import Place
from tests.hives import PATIENCE
from tests.stand_ins.gate import Gate
from tests.stand_ins.messages_api import MessagesApi
from tests.stand_ins.scripted import Text

CLAUDE = os.environ.get("HIVE_TEST_CLAUDE") or shutil.which("claude")
QUIET = {"DISABLE_AUTOUPDATER": "1", "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1"}


def main() -> None:
    options = arguments(__doc__ or "", rounds=20)
    if CLAUDE is None:
        sys.exit("turns.py needs claude on the PATH or in HIVE_TEST_CLAUDE (npm install @anthropic-ai/claude-code)")
    table = Table("a turn whose model answers at once")
    with scratch() as folder, Gate(folder / "g.sock") as gate, MessagesApi([("", Text("ok"))]) as api:
        place = Place(folder, gate)
        programs = folder / "bin"
        programs.mkdir()
        (programs / "claude").symlink_to(CLAUDE)
        place.environment["PATH"] = f"{programs}:{place.environment['PATH']}"
        place.environment.update(QUIET, ANTHROPIC_API_KEY="fake-key", ANTHROPIC_BASE_URL=api.url)
        place.start()
        try:
            turn = by_the_harness(gate)
            turn()  # The first one starts the process that is kept.
            each = {"claude -p, a process per turn": by_a_process(folder, api.url), "hive, the process is kept": turn}
            interleaved(table, options.rounds, each)
        finally:
            place.leave()
    show([table], as_json=options.json)


def by_the_harness(gate: Gate) -> Callable[[], None]:
    """A message put into the inbox, until the harness has acknowledged it."""

    def turn() -> None:
        before = len(gate.inbox)
        gate.put("operator", "hello")
        gate.wait(lambda gate: gate.inbox[before].state == "acknowledged", "the turn's end")

    return turn


def by_a_process(folder: Path, url: str) -> Callable[[], None]:
    """The CLI as a shell script would run it, with a home of its own."""
    assert CLAUDE is not None
    home = folder / "lone"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CLAUDE_CONFIG_DIR": str(home / ".claude"), **QUIET}
    environment.update(ANTHROPIC_API_KEY="fake-key", ANTHROPIC_BASE_URL=url)
    argv = [CLAUDE, "-p", "hello", "--output-format", "stream-json", "--verbose", "--model", "x", "--strict-mcp-config"]

    def turn() -> None:
        subprocess.run(
            argv, env=environment, cwd=home, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE
        )

    return turn


if __name__ == "__main__":
    main()
