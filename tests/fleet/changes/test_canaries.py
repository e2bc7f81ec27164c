"""A canary whose hive is killed at any line: lock and canary are both new or both old, and nobody else was touched."""

from __future__ import annotations

import pytest

from tests.cmds.test_killed import killed_at, places_of
from tests.cmds.test_meta import base, bump, locked, log
from tests.hives import TestHive

pytestmark = pytest.mark.remembered
COMMAND = ("meta-update", "hive", "--canary", "tester")
PLACES = {
    "every line": (("changes/canaries.py", "hive_cmds/meta.py"), 1),
    "around it": (("changes/building.py", "flake/meta.py", "hive_core/progress.py", "git/repository.py"), 4),
}


@pytest.fixture
def two(hive: TestHive) -> TestHive:
    """A hive with a canary, another agent, and a newer hive for both."""
    base(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    bump(hive)
    return hive


def assert_whole(hive: TestHive, old: str, new: str, instance: str | None) -> str:
    """What is locked, which is what the canary runs with; while that is the old, nobody else has been touched."""
    hive.asked("list")  # Any operation mends.
    found = hive.inside().host.containers()
    with hive.inside().store.read() as db:
        assert db.execute("select count(*) from operations").fetchone()[0] == 0
        built_with = {row["name"]: row["hive_rev"] for row in db.execute("select name, hive_rev from agents")}
    at = locked(hive, "hive")
    assert at in (old, new)
    assert (found["tester"].running, found["tester"].hive, built_with["tester"]) == (True, at, at)
    assert hive.git("meta", "status", "--porcelain") == ""
    assert (found["coder"].running, found["coder"].hive) == (True, built_with["coder"])
    assert at == new or hive.instance("coder") == instance
    return at


@pytest.mark.parametrize(("files", "step"), PLACES.values(), ids=PLACES)
def test_a_canary_killed_anywhere_is_all_new_or_all_old(two: TestHive, files: tuple[str, ...], step: int) -> None:
    hive = two
    *places, end = places_of(hive, files, *COMMAND)
    seen = set()
    for line in [*places[::step], end]:
        old, new, instance, commits = locked(hive, "hive"), bump(hive), hive.instance("coder"), log(hive)
        code = killed_at(hive, line, files, *COMMAND)
        if code == 0:
            assert {one.hive for one in hive.inside().host.containers().values()} == {new}
            break
        at = assert_whole(hive, old, new, instance)
        assert log(hive) == (["lock update: hive"] if at == new else []) + commits, f"killed at line {line}"
        seen.add(at == new)
        hive.asked("update", stale=True)
    assert (code, seen) == (0, {True, False})


def test_whoever_mends_a_canary_may_be_killed_too(two: TestHive) -> None:
    hive = two
    mending = ("changes/canaries.py", "changes/running.py", "changes/building.py", "flake/meta.py")
    for line in range(1, 200, 12):
        old, new, instance = locked(hive, "hive"), bump(hive), hive.instance("coder")
        # It has been switched to the new hive by then, and nobody has seen it live.
        assert hive.forked(*COMMAND, kill_at_step="settling").returncode == -9
        code = killed_at(hive, line, mending, "list")
        assert assert_whole(hive, old, new, instance) == old
        if code == 0:
            return
    raise AssertionError("to mend it takes more lines than that")
