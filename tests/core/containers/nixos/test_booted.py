"""The backend under a real systemd, nspawn, journald and nix, a newer one: nixos-container's part alone is played."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.booted import PLACE, BootedMachine, booted, needs_booted
from tests.core.containers.nixos.machine import REAL
from tests.hives import CHECKOUT, eventually
from tests.needs import needs_root
from tests.nix.evaluating import CONFIG

pytestmark = [needs_root, needs_booted]

ODD = 'they/"them" \\ ${HOME} %h \' $(id) é'
TELLS = "import json, os, time; print(json.dumps([os.environ['HIVE_OPERATOR_PRONOUNS'], os.getuid()]), flush=True); "
RUNS = f'runner = "command"\ncommand = ["python3", "-c", {json.dumps(TELLS + "time.sleep(1000)")}]\n'
ENDS = 'runner = "command"\ncommand = ["sh", "-c", "exit 3"]\n'
ENVIRONMENT = {
    "HIVE_BACKEND": "nixos",
    "HIVE_TESTING": "1",
    "HIVE_FLAKE": "git+file:///srv/base?ref=main",
    "HIVE_OPERATOR_PRONOUNS": ODD,
    "NIX_CONFIG": CONFIG,
    "LC_ALL": "C.UTF-8",
    **{f"GIT_{who}_{what}": "t" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")},
}
# Of what is tested of this backend with stand-ins, that which they may play otherwise than it is.
THERE_TOO = (
    "a_container_that_was_removed_past_hive_is_gone",
    "a_start_past_hive_is_another_instance",
    "each_has_users_of_its_own",
    "the_key_of_its_page_is_on_its_standard_input_and_nobody_elses_to_read",
    "a_container_whose_socket_was_taken_from_the_machine_is_known",
)
BASE = """
mkdir -p /srv/base/hive_agent && cd /srv/base && git init -q -b main && touch hive_agent/run.py && cp -r "$0/nix" nix
packages=$0/tests/nix/nixpkgs
printf '{"type": "path", "path": "%s", "narHash": "%s"}' "$packages" "$(nix hash path "$packages")" >nix/nixpkgs.json
git add -A && git commit -qm It
"""
CONFIGURE = """
mkdir -p "$1" && cd "$1" && git init -q -b main && printf %s "$2" >agent.toml && git add -A && git commit -qm It
git rev-parse HEAD
"""


@pytest.fixture(scope="module")
def machine() -> Iterator[BootedMachine]:
    """A booted machine with what plays nixos-container, and a hive that makes systems."""
    with booted(install) as made:
        made.do("sh", "-ec", BASE, PLACE, environment=ENVIRONMENT)
        yield made


def install(root: Path) -> None:
    shutil.copytree(CHECKOUT / "nix", root / PLACE.lstrip("/") / "nix")
    subprocess.run([CHECKOUT / "tests/stand_ins/nspawn/install", root], check=True)


def hive(machine: BootedMachine, *argv: str, code: int = 0) -> str:
    return machine.do("hive", *argv, code=code, environment=ENVIRONMENT)


def told(machine: BootedMachine, *argv: str) -> Any:
    return json.loads(hive(machine, *argv, "--json"))


def configure(machine: BootedMachine, toml: str) -> str:
    place = "/var/lib/hive/agents/coder/config"
    return machine.do("sh", "-ec", CONFIGURE, "sh", place, toml, environment=ENVIRONMENT).strip()


def test_an_agent_lives_and_ends_in_a_real_container(machine: BootedMachine) -> None:
    configure(machine, RUNS)
    hive(machine, "spawn", "coder")
    # What hive was told arrives unchanged, and the agent is its container's own user.
    lines = eventually(lambda: [line for line in told(machine, "journal", "coder", "--lines", "500") if "them" in line])
    assert json.loads(lines[0].partition(" ")[2]) == [ODD, 1000]
    hive(machine, "watch", "--once")

    # A kill past hive is a crash with its signal, and leaves nothing in the way of the next start.
    pid = machine.do("systemctl", "show", "--property=MainPID", "--value", "container@h-coder.service").strip()
    machine.do("kill", "-9", pid)
    hive(machine, "watch", "--once")
    crashes = hive(machine, "events", "--since", "0", "--kind", "container_crash", "--json").splitlines()
    assert ["SIGKILL" in crash for crash in crashes] == [True]
    hive(machine, "start", "coder")

    # What dies at once has failed, with its code, and what was there before runs again.
    sha = configure(machine, ENDS)
    request = told(machine, "request-commit", "coder", sha)["id"]
    hive(machine, "approve", str(request), code=1)
    assert [row["status"] for row in told(machine, "approvals", "--all") if row["id"] == request] == ["failed"]
    assert "exit code 3" in json.dumps(told(machine, "approvals", "--all"))
    assert next(row["running"] for row in told(machine, "list") if row["name"] == "coder")

    hive(machine, "stop", "coder")
    hive(machine, "destroy", "coder", "--yes")
    assert machine.do("ls", "/etc/nixos-containers", "/var/lib/nixos-containers").count("h-coder") == 0


def test_what_every_backend_promises_holds_of_real_containers(machine: BootedMachine) -> None:
    """The contract's own tests, in the machine; and those of what stand-ins cannot show."""
    here = "tests/core/containers"
    # A container has had the filter of a real one by now.
    machine.do("touch", "/run/unfiltered")
    machine.test(
        f"{here}/test_contract.py",
        f"{here}/test_contract_running.py",
        f"{here}/nixos/in_a_booted_machine.py",
        *(f"{here}/nixos/test_host.py::test_{name}" for name in THERE_TOO),
        "--tb=short",
        "-k=nixos",
        environment={"NIX_CONFIG": CONFIG, REAL: "1"},
    )
