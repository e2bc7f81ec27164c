"""Tombstones: what is kept of agents that are gone, announced by who makes or ends one."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hive_core.context import Hive
from hive_core.events import since
from hive_fleet.agents import strays, table, tombstones
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


def kept(hive: Hive, name: str, *, login: bool = False) -> Path:
    """What is left of a destroyed agent."""
    folder = hive.agent_path(name)
    (folder / "state").mkdir(parents=True)
    (folder / "state" / "notes").write_bytes(b"x" * 5000)
    if login:
        (folder / "claude").mkdir()
        content = {"claudeAiOauth": {"accessToken": "fake", "expiresAt": 4102444800000}}
        (folder / "claude" / ".credentials.json").write_text(json.dumps(content))
    return folder


def test_a_folder_without_an_agent_is_a_tombstone_with_its_size_and_whether_a_login_is_kept(
    enlist: Callable[..., Hive],
) -> None:
    hive = enlist("coder")
    for name, login in (("coder", False), ("w10", False), ("w2", True)):
        kept(hive, name, login=login)
    (hive.settings.agents / "a-file").write_text("")
    found = tombstones.all_tombstones(hive)
    assert [(stone.name, stone.has_login) for stone in found] == [("w2", True), ("w10", False)]
    assert found[1].size >= 5000
    assert 0 <= found[1].age < 600
    assert tombstones.kept_names(hive) == ["w2", "w10"]


def test_without_a_folder_of_agents_there_is_none(enlist: Callable[..., Hive]) -> None:
    assert tombstones.all_tombstones(enlist()) == []


def test_a_time_in_the_future_that_an_agent_has_set_is_now(enlist: Callable[..., Hive]) -> None:
    hive = enlist()
    later = time.time() + 1e6
    folder = kept(hive, "old")
    for path in (folder, folder / "state"):
        os.utime(path, (later, later))
    assert tombstones.all_tombstones(hive)[0].last_modified <= time.time()


def test_a_container_that_the_database_does_not_know_is_a_stray_and_no_tombstone(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    assert strays.all_strays(inside) == {}
    assert not strays.is_stray(inside, "coder")
    with inside.store.write() as db:
        table.remove(db, "coder")
    assert list(strays.all_strays(inside)) == ["coder"]
    assert strays.is_stray(inside, "coder")
    assert not strays.is_stray(inside, "nobody")
    assert tombstones.all_tombstones(inside) == []


def test_who_makes_one_announces_all_that_there_are(enlist: Callable[..., Hive]) -> None:
    hive = enlist("coder")
    kept(hive, "old")
    kept(hive, "coder")
    with tombstones.announcing_tombstones(hive, "coder") as db:
        pass
    with hive.store.write() as db:
        table.remove(db, "coder")
    with tombstones.announcing_tombstones(hive, "coder") as db:
        told = [event for event in since(db, 0) if event.kind == "tombstones_changed"]
    with hive.store.read() as db:
        told = [event.data["tombstones"] for event in since(db, 0) if event.kind == "tombstones_changed"]
    assert [[stone["name"] for stone in each] for each in told] == [["old"], ["coder", "old"]]
