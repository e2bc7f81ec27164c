"""On NixOS nothing lies in /usr: what the system has is found by /run/current-system, inside as well as outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.hives import CHECKOUT, TestHive, eventually
from tests.needs import needs_nix, needs_root
from tests.nix.evaluating import environment


def profile(hive: TestHive, program: str) -> Path:
    """A system in the store that has one program more than this machine."""
    tree = hive.root / "system/sw/bin"
    tree.mkdir(parents=True)
    (tree / program).write_text("#!/bin/sh\necho only there; exec sleep infinity\n")
    (tree / program).chmod(0o755)
    argv = ["nix-store", "--add", str(hive.root / "system")]
    told = subprocess.run(argv, env=environment(hive.root), capture_output=True, text=True, check=True).stdout
    return Path(told.strip())


@needs_nix
@needs_root
def test_an_agent_runs_a_program_of_the_running_system(hive: TestHive) -> None:
    stored = profile(hive, "only-there")
    hive.configure("coder", 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["only-there"]\n')
    # A /run of its own, in which this machine is a NixOS.
    as_nixos = 'mount -t tmpfs none /run && ln -s "$1" /run/current-system && shift && exec "$@"'
    program = ["unshare", "-m", "sh", "-c", as_nixos, "sh", str(stored), sys.executable, str(CHECKOUT / "hive")]
    hive.run("spawn", "coder", program=program)
    host = hive.inside().host
    assert eventually(lambda: any(line.endswith("only there") for line in host.journal("coder", 10)))


def test_elsewhere_such_a_program_is_missing(hive: TestHive) -> None:
    hive.configure("coder", 'runner = "command"\ncommand = ["only-there"]\n')
    assert "the program only-there of command is not installed" in hive.run("spawn", "coder", code=1).stderr
