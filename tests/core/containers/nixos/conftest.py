"""What tests of this backend are given: a backend over a machine of its own, as the contract's tests have it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.containers.test_contract import Backend, opened


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("HIVE_TESTING", "1")
    with opened("nixos") as made:
        yield made


@pytest.fixture
def root(backend: Backend) -> Path:
    """The folder that is the machine."""
    return backend.home / "machine"
