"""Changes: what is slow or foreign is refused inside one, whoever asks for it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hive_core import hostile_folders
from hive_core.containers.base import Host
from hive_core.context import Hive
from hive_core.git.history import History
from hive_core.git.untrusted import open_untrusted
from hive_core.process import run
from hive_fleet.agents.observation import found_login, observe
from tests.hives import TestHive

METHODS = [name for name, _ in inspect.getmembers(Host, inspect.isfunction) if not name.startswith("_")]
SLOW: dict[str, Callable[[Hive], object]] = {
    **{f"Host.{name}": (lambda hive, name=name: getattr(hive.host, name)) for name in METHODS},  # type: ignore[misc]
    "a login": lambda hive: found_login(hive, "coder", "claude"),
    "a look": observe,
    "a folder measured": lambda hive: hostile_folders.measure(hive.agent_path("coder")),
    "a folder removed": lambda hive: hostile_folders.remove(hive.agent_path("coder")),
    "a folder handed over": lambda hive: hostile_folders.hand_over(hive.agent_path("coder"), 1),
    "a program run": lambda _hive: run(["true"]),
    "a lock": lambda hive: hive.lock("coder", "trying").__enter__(),
    "a repository": lambda hive: History(hive.applied_path("coder")).main(),
    "a proposed repository": lambda hive: open_untrusted(hive.agent_path("coder")),
}


@pytest.mark.parametrize("what", SLOW)
def test_what_is_slow_or_an_agents_is_refused_inside_a_change(hive: TestHive, what: str) -> None:
    inside = hive.inside()
    with (
        pytest.raises(AssertionError, match="inside a change"),
        inside.store.write() as db,
    ):
        if what == "a look":
            db.execute("insert into agents (name, desired, created_at) values ('coder', 'running', 0)")
        SLOW[what](inside)


def test_all_of_it_is_allowed_before_and_after_a_change_and_in_another_thread(hive: TestHive) -> None:
    inside = hive.inside()

    def look() -> object:
        return inside.host.containers()

    assert look() == {}
    with inside.store.write(), ThreadPoolExecutor(1) as pool:
        assert pool.submit(look).result() == {}
    assert look() == {}


def test_a_change_that_failed_forbids_nothing(hive: TestHive, tmp_path: Path) -> None:
    inside = hive.inside()
    with pytest.raises(RuntimeError), inside.store.write():
        raise RuntimeError
    assert hostile_folders.measure(tmp_path).whole
