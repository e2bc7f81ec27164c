"""Room is set aside while there is enough, and given up when there is none."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hive_core.context import Hive
from hive_fleet.upkeep import reserve
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


@pytest.fixture
def hive_with(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Hive]:
    """The hive on a disk of 64 MiB with so many MiB free."""
    hive.home.mkdir(parents=True)

    def with_free(mib: int) -> Hive:
        usage: Any = shutil._ntuple_diskusage(64 * 2**20, 0, mib * 2**20)  # type: ignore[attr-defined]
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
        return hive.inside()

    return with_free


def size(hive: Hive) -> int | None:
    path = Path(hive.settings.home / reserve.FILE)
    return path.stat().st_size if path.exists() else None


def test_it_is_a_small_part_of_the_disk_and_there_only_with_ample_room(hive_with: Callable[[int], Hive]) -> None:
    reserve.keep(hive_with(7))
    assert size(hive_with(7)) is None
    reserve.keep(hive_with(9))
    assert size(hive_with(9)) == 2**20
    reserve.give(hive_with(9))
    assert size(hive_with(9)) == 2**20
    reserve.give(hive_with(0))
    assert size(hive_with(0)) is None


def test_one_that_was_cut_off_is_made_anew(hive_with: Callable[[int], Hive]) -> None:
    hive = hive_with(30)
    (hive.settings.home / reserve.FILE).write_bytes(b"x")
    reserve.keep(hive)
    assert size(hive) == 2**20
