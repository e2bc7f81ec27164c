"""The upkeep beside `hive up`: it is done by itself, ends with it, and what it cannot do is told once."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.locks import holder
from hive_faces import upkeep
from hive_fleet.upkeep import reserve
from tests.hives import TestHive, eventually

pytestmark = pytest.mark.remembered


def old(hive: TestHive, count: int = 1) -> None:
    with hive.inside().store.write() as db:
        row = "insert into messages (sender, recipient, body, sent_at, delivered_at, acknowledged_at) values"
        db.executemany(f"{row} ('operator', 'coder', ?, 0, 0, 0)", [(str(each),) for each in range(count)])


def left(hive: TestHive) -> int:
    with hive.inside().store.read() as db:
        return int(db.execute("select count(*) from messages").fetchone()[0])


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "FIRST", 0.0)


def test_it_is_done_in_a_process_of_its_own(hive: TestHive) -> None:
    old(hive)
    with upkeep.upkeep_beside(hive.inside()):
        eventually(lambda: left(hive) == 0)


def test_it_is_done_at_once_when_the_disk_is_nearly_full_and_not_again_and_again(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK", 0.01)
    old(hive)
    monkeypatch.setattr(reserve, "is_scarce", lambda _: True)
    monkeypatch.setattr(upkeep, "FIRST", 10**6)
    with upkeep.upkeep_beside(hive.inside()):
        eventually(lambda: left(hive) == 0)
        eventually(lambda: holder(hive.home / "locks" / "vacuum.lock") is None)
        old(hive)
    assert left(hive) == 1


def test_it_breaks_off_when_hive_up_ends_and_what_is_left_is_done_the_next_time(hive: TestHive) -> None:
    old(hive, 5000)
    lock = hive.home / "locks" / "vacuum.lock"
    with upkeep.upkeep_beside(hive.inside()):
        eventually(lambda: left(hive) < 5000)
        assert holder(lock)
    assert holder(lock) is None
    assert 0 < left(hive) < 5000
    hive.run("vacuum")
    assert left(hive) == 0


def test_what_it_cannot_do_is_told_once_and_ends_nothing(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(upkeep, "INTERVAL", 0.0)
    said: list[str] = []
    inside = hive.inside()
    inside.say = said.append
    repository = hive.home / "applied" / "coder"
    (repository / ".git").mkdir(parents=True)
    (repository / ".git" / "refs").mkdir()
    for number in range(500):
        (repository / ".git" / "refs" / str(number)).write_text("nonsense")
    with upkeep.upkeep_beside(inside):
        eventually(lambda: said)
        lock = hive.home / "locks" / "in.applied.coder.lock"
        lock.unlink()
        eventually(lock.exists)
    assert said == [said[0]]
    assert said[0].startswith("warning: the upkeep: not all of it could be done: repository applied/coder")
