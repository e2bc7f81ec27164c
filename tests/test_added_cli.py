"""A further CLI is an entry in the table and the file of its runner: everything else follows, tried with a made-up one."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cmds.test_login import Human
from tests.hives import CHECKOUT, TestHive, eventually
from tests.house import FLOORS

ENTRY = """
    Cli(
        name="parrot",
        package="parrot",
        runner="hive_agent.runners.parrot:ParrotRunner",
        credentials=Credentials(
            variable="PARROT_HOME",
            folder="parrot",
            file="seed.json",
            tokens=(Token(("seed",)),),
            keys=("PARROT_KEY",),
        ),
        login=LoginProgram(arguments=("sign-in",), hosts=("parrot.example",)),
    ),
"""

RUNNER = '''
"""The runner `parrot`: says what it is told."""

from __future__ import annotations

from hive_agent.runners.base import End, TurnEvent, Outcome, Turn
from hive_agent.runners.child import find_cli
from hive_agent.runners.process import ProcessRunner
from hive_agent.settings import HarnessSettings


class ParrotRunner(ProcessRunner):
    needs_login = True

    def __init__(self, settings: HarnessSettings) -> None:
        super().__init__(settings, settings.environment)

    def start(self) -> None:
        self._program = find_cli("parrot", self._environment)

    def turn(self, prompt: str, model: str | None) -> Turn:
        self._poke.clear()
        yield TurnEvent("started", {"model": model})
        child = self._spawn([self._program, "speak"])
        child.write(prompt.encode(), last=True)
        said = [data.decode() for name, data in child.lines() if name == "stdout"]
        code = child.finish()
        self._child = None
        return Outcome(End.DONE if code == 0 else End.FAILED, "\\n".join(said))

    def compact(self, model: str | None) -> Turn:
        yield TurnEvent("started", {"model": model})
        return Outcome(End.FAILED, "a parrot forgets nothing")
'''

PROGRAM = """#!/bin/sh
case $1 in
sign-in)
    printf 'Say what you are for: '
    read -r code
    printf '{"seed": "fake-%s"}' "$code" >"$PARROT_HOME/seed.json"
    ;;
speak)
    [ -s "$PARROT_HOME/seed.json" ] && cat
    ;;
esac
"""


@pytest.fixture
def parrot(hive: TestHive, tmp_path: Path) -> list[str]:
    """A checkout with one more CLI, whose program is on this machine; how its hive is called."""
    checkout = tmp_path / "checkout"
    for room in FLOORS:
        shutil.copytree(CHECKOUT / room, checkout / room, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("hive", "pyproject.toml"):
        shutil.copy(CHECKOUT / name, checkout / name)
    (checkout / ".venv").symlink_to(CHECKOUT / ".venv")
    table = checkout / "hive_agent" / "clis.py"
    before = table.read_text()
    table.write_text(before.replace("_ENTRIES = (", "_ENTRIES = (" + ENTRY))
    (checkout / "hive_agent" / "runners" / "parrot.py").write_text(RUNNER.lstrip())
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "A parrot"]):
        subprocess.run(["git", "-C", str(checkout), *command], env=hive.environment, check=True)
    program = tmp_path / "bin" / "parrot"
    program.parent.mkdir()
    program.write_text(PROGRAM)
    program.chmod(0o755)
    # The harness is that of this checkout, too.
    hive.extra |= {"HIVE_PARROT": str(program), "HIVE_FLAKE": f"git+file://{checkout}?ref=main"}
    return [sys.executable, str(checkout / "hive")]


def test_an_entry_and_a_runner_are_all_that_a_further_cli_needs(hive: TestHive, parrot: list[str]) -> None:
    def run(*arguments: str, code: int = 0) -> str:
        return hive.run(*arguments, program=parrot, code=code).stdout

    def row() -> dict[str, object]:
        rows: list[dict[str, object]] = json.loads(run("list", "--json"))
        return next(found for found in rows if found["name"] == "coder")

    # The table of hive without it has no such runner; with it the configuration may name it, and it is found.
    hive.configure("other", 'runner = "parrot"\n')
    assert "parrot" in hive.run("spawn", "other", code=1).stderr
    hive.start("gate", program=parrot)
    hive.configure("coder", 'runner = "parrot"\n')
    run("spawn", "coder")
    assert any("parrot" in str(line) for line in json.loads(run("doctor", "--json")))
    # Its login folder, and what counts as a login there.
    assert (hive.home / "agents" / "coder" / "parrot").is_dir()
    assert row()["needs_login"]
    # Its own login.
    human = Human(hive, "login", "coder", program=parrot[1:])
    human.see("Say what you are for: ")
    human.type("talk\r")
    human.see("coder is logged in")
    assert human.leave() == 0
    assert not row()["needs_login"]
    # Its runner, in the harness.
    run("send", "coder", "Polly")
    assert "Polly" in eventually(lambda: turn(hive))
    # A key in place of a login.
    run("kill", "coder")
    (hive.home / "agents" / "coder" / "parrot" / "seed.json").unlink()
    assert row()["needs_login"]
    sha = hive.propose("coder", 'runner = "parrot"\n[environment]\nPARROT_KEY = "fake"\n')
    number = json.loads(run("request-commit", "coder", sha, "--json"))["id"]
    run("approve", str(number))
    assert not row()["needs_login"]


def turn(hive: TestHive) -> str | None:
    """What the last turn that was done said."""
    record = hive.home / "agents" / "coder" / "state" / "events.sqlite"
    if not record.exists():
        return None
    db = sqlite3.connect(record)
    try:
        found = db.execute("select detail from turns where outcome = 'done' and body = 'Polly'").fetchone()
    except sqlite3.OperationalError:
        return None
    finally:
        db.close()
    return found[0] if found else None
