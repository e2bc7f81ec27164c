"""A store that is full, or can only be read: nothing changes, and what is to be done is said. It is really so here."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import forking
from tests.core.containers.nixos.test_deploys import RUNS, state, status
from tests.hives import PATIENCE, TestHive, is_code
from tests.needs import needs_nix, needs_root

pytestmark = [needs_nix, needs_root]
# More than there is room for; and that with a little room left at the end, in which nix can put what it has to say of it.
FILLS = "/usr/bin/head -c 100M /dev/zero >$out/large"
TOO_LARGE = (FILLS, f"{FILLS} || {{ /usr/bin/truncate -s -1M $out/large; exit 1; }}")
SPOILT = {
    "read-only": ("mount -o remount,ro /nix", "mount -o remount,rw /nix", "/nix/var/nix is read-only. Mount it"),
    "full": ("cat /dev/zero >/nix/full || true", "rm /nix/full", "is full: `nix-collect-garbage` removes"),
}


class Apart:
    """A hive whose commands have a small store of their own for /nix, in a namespace of mounts that ends with the test."""

    def __init__(self, hive: TestHive, inside: list[str]) -> None:
        self.hive, self._inside = hive, inside
        self._server = forking.started(inside)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command of hive's; what it says."""
        done = self._server.run(arguments, self.hive.environment, timeout=PATIENCE)
        assert is_code(done.returncode, code, arguments), done
        return done.stdout + done.stderr

    def do(self, script: str) -> None:
        subprocess.run([*self._inside, "sh", "-c", script], env=self.hive.environment, capture_output=True, check=True)

    def all_of_it(self) -> tuple[object, ...]:
        """What must be as it was: what is applied, locked, logged and runs, and which start of it."""
        return *state(self.hive), self.hive.instance("coder")


@contextmanager
def own_store() -> Iterator[list[str]]:
    """The words before a command that has it see a store of its own."""
    script = "mount -t tmpfs -o size=32m none /nix; echo; exec sleep infinity"
    holder = subprocess.Popen(["unshare", "--mount", "sh", "-ec", script], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline()
        try:
            yield ["nsenter", f"--mount=/proc/{holder.pid}/ns/mnt", "--"]
        finally:
            holder.kill()


@pytest.fixture
def apart(without_agents: TestHive) -> Iterator[Apart]:
    with own_store() as inside:
        made = Apart(without_agents, inside)
        without_agents.configure("coder", RUNS.format("one"))
        made.run("spawn", "coder")
        yield made


def test_a_store_that_cannot_be_written_leaves_all_as_it_is(apart: Apart) -> None:
    hive, before = apart.hive, apart.all_of_it()
    request = hive.request("coder", RUNS.format("two"))
    for spoil, mend, told in SPOILT.values():
        apart.do(spoil)
        assert told in apart.run("approve", str(request), code=1)
        assert (apart.all_of_it(), status(hive, request)) == (before, "pending")
        assert told in apart.run("doctor")
        apart.do(mend)

    # There is room to begin with, and none in the middle of the build.
    for script in TOO_LARGE:
        module = f'{{ system.extraBuild = "{script}"; }}'
        large = hive.request("coder", RUNS.format("two"), files={"agent.nix": module})
        assert SPOILT["full"][2] in apart.run("approve", str(large), code=1)
        assert (apart.all_of_it(), status(hive, large)) == (before, "pending")
        apart.do("nix-collect-garbage")

    # It is built, and cannot be switched to.
    called = hive.root / "machine/bin/nix-env"
    called.write_text('#!/bin/sh\nmount -o remount,ro /nix\nexec /usr/bin/nix-env "$@"\n')
    called.chmod(0o755)
    assert SPOILT["read-only"][2] in apart.run("approve", str(request), code=1)
    assert (apart.all_of_it(), status(hive, request)) == (before, "pending")
    called.unlink()
    apart.do(SPOILT["read-only"][1])

    apart.run("approve", str(request))
    assert status(hive, request) == "approved"
    assert apart.all_of_it()[3] == hive.git("applied/coder", "rev-parse", f"proposal/{request}")
