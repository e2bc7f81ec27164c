"""What tests of this backend are given: a backend over a machine of its own, as the contract's tests have it, and a hive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hive_fleet.flake import flake
from tests.core.containers.nixos import machine
from tests.core.containers.test_contract import Backend, opened
from tests.git import commit, git
from tests.hives import TestHive


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("HIVE_TESTING", "1")
    with opened("nixos") as made:
        yield made


@pytest.fixture
def root(backend: Backend) -> Path:
    """The folder that is the machine."""
    return backend.home / "machine"


@pytest.fixture
def without_agents(tmp_path: Path) -> Iterator[TestHive]:
    """A hive on a machine of its own."""
    hive = TestHive(tmp_path / "hive")
    base = hive.root / "base"
    (base / "hive_agent").mkdir(parents=True)
    git(base, "init", "-q", "-b", "main")
    machine.maker(base)
    commit(base, {"hive_agent/run.py": ""})
    hive.extra |= machine.installed(hive.root / "machine")
    hive.extra |= {"HIVE_BACKEND": "nixos", "HIVE_FLAKE": flake.local_url(base, "ref", "main")}
    with pytest.MonkeyPatch.context() as patch:
        # What a test looks at in this process is on that machine, too.
        for name, value in hive.extra.items():
            patch.setenv(name, value)
        yield hive
        hive.close()
