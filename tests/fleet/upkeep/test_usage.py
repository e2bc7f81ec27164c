"""Who uses how much of the disk, whatever those who are measured do about it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from hive_fleet.upkeep import usage
from tests.hives import TestHive
from tests.needs import needs_root
from tests.users import USER, open_folder


@contextmanager
def as_a_plain_user() -> Iterator[None]:
    os.seteuid(USER)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_a_folder_that_its_owner_has_closed_keeps_nothing_from_being_told() -> None:
    with open_folder() as folder:
        for name in ("closed", "open"):
            (folder / name / "coder").mkdir(parents=True)
            (folder / name / "coder" / "file").write_bytes(b"x" * 5000)
            os.chown(folder / name, USER, USER)
        (folder / "closed").chmod(0)
        with as_a_plain_user():
            places = [folder / "closed" / "coder", folder / "open" / "coder", folder / "open" / "coder" / "file"]
            (found,) = usage._measured("coder", "repositories", places, "")
        assert found.size == 10_000


@pytest.mark.remembered
def test_a_file_counts_as_itself_and_what_is_absent_as_nothing(hive: TestHive) -> None:
    hive.spawn("coder")
    told = {(row["of"], row["what"]): row["size"] for row in hive.asked("disk")}
    assert told["coder", "repositories"] > 0
    (hive.home / "reserve").write_bytes(b"x" * 100)
    assert ("hive", "reserve") in {(row["of"], row["what"]) for row in hive.asked("disk")}
