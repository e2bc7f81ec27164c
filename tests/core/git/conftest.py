"""An applied repository and its proposer's clone, as at the start of an agent's life."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.git.repository import Repository
from tests.git import git


@pytest.fixture
def applied(tmp_path: Path) -> Repository:
    home = tmp_path / "home"
    (home / "applied").mkdir(parents=True)
    return Repository.create(home / "applied/coder", {"agent.toml": b'runner = "claude"\n'}, "seed")


@pytest.fixture
def clone(applied: Repository, tmp_path: Path) -> Path:
    (tmp_path / "home/agents/coder").mkdir(parents=True)
    path = tmp_path / "home/agents/coder/config"
    Repository.clone(applied, path, origin=str(applied.path))
    git(path, "config", "gc.auto", "0")
    return path
