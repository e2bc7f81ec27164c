"""A moved hive for everybody: killed or interrupted anywhere, the lock is whole and so is each agent."""

from __future__ import annotations

import pytest

from hive_core.progress import all_in_progress
from tests.cmds.test_killed import SLOW, killed_at, places_of
from tests.cmds.test_meta import base, bump, locked, log
from tests.hives import TestHive, eventually, interrupt

COMMAND = ("meta-update", "hive")
NAMES = ("a", "b")


def assert_each_is_whole(hive: TestHive, *hives: str) -> None:
    """None is at work any more, and what each runs with is what is written down of it."""
    hive.asked("watch", once=True)
    found = hive.inside().host.containers()
    with hive.inside().store.read() as db:
        built_with = {row["name"]: row["hive_rev"] for row in db.execute("select name, hive_rev from agents")}
        assert all_in_progress(db) == {}
        assert db.execute("select count(*) from fan_outs where ok is null").fetchone()[0] == 0
    assert {name: found[name].hive for name in NAMES} == built_with
    assert set(built_with.values()) <= set(hives)
    assert all(found[name].running for name in NAMES)
    assert hive.git("meta", "status", "--porcelain") == ""


@pytest.mark.remembered
def test_one_that_is_killed_anywhere_leaves_the_lock_and_each_agent_whole(hive: TestHive) -> None:
    base(hive)
    for name in NAMES:
        hive.spawn(name)
    hive.asked("watch", once=True)
    files = ("hive_cmds/meta.py", "flake/meta.py", "flake/staleness.py", "changes/rebuilds.py", "changes/building.py")
    bump(hive)
    places, seen = places_of(hive, files, *COMMAND), set()
    # The lock is moved at the beginning.
    for line in [*places[:12], *places[12:-1:9], places[-1]]:
        old, new, commits = locked(hive, "hive"), bump(hive), log(hive)
        code = killed_at(hive, line, files, *COMMAND)
        assert_each_is_whole(hive, old, new)
        moved = locked(hive, "hive") == new
        assert log(hive) == (["lock update: hive"] if moved else []) + commits
        seen.add((code, moved))
        hive.asked("update", stale=True)
    assert seen == {(-9, False), (-9, True), (0, True)}


def test_one_that_is_interrupted_begins_with_no_further_agent(hive: TestHive) -> None:
    base(hive)
    for name in NAMES:
        hive.spawn(name, SLOW)
    old, new = locked(hive, "hive"), bump(hive)
    going = hive.start(*COMMAND)
    host = hive.inside().host
    assert eventually(lambda: any(line.endswith("ending") for line in host.journal("a", 9)))
    assert interrupt(going) == 130
    assert_each_is_whole(hive, old, new)
    assert locked(hive, "hive") == new
