"""A spawn beside other changes: nobody waits for what it builds, and nobody else takes the agent into the meta flake."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from hive_core.changes import InProgress
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_fleet.changes import spawns
from tests.hives import PLAIN, TestHive


def locked(hive: TestHive) -> dict[str, str]:
    """The revisions of the agents in the lock."""
    lock = json.loads(hive.git("meta", "show", "main:flake.lock"))
    nodes = {name: node for name, node in lock["nodes"].items() if name.startswith("agent-")}
    return {name.removeprefix("agent-"): node["locked"]["rev"] for name, node in nodes.items()}


def refuse() -> None:
    raise Refused("It is not to be.")


@pytest.mark.parametrize(("ends", "there"), [(lambda: None, True), (refuse, False)], ids=["well", "undone"])
def test_a_deploy_of_another_agent_gets_through_while_a_spawn_builds(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch, ends: Callable[[], None], there: bool
) -> None:
    hive.spawn("coder")
    number = hive.request("coder", PLAIN + "# new\n")
    hive.configure("tester", PLAIN)
    spawn = hive.json("request-spawn", "tester")["id"]
    building, go_on = Event(), Event()

    def held_up(work: Callable[[Hive, InProgress], None], inside: Hive, doing: InProgress) -> None:
        building.set()
        assert go_on.wait(60)
        work(inside, doing)
        ends()

    tasks = [
        task._replace(work=lambda *given, work=task.work: held_up(work, *given)) if task.step == "building" else task
        for task in spawns.SPAWN.tasks
    ]
    monkeypatch.setattr(spawns, "SPAWN", spawns.SPAWN._replace(tasks=tuple(tasks)))
    with ThreadPoolExecutor(1) as pool:
        spawned = pool.submit(hive.asked, "approve", id=spawn)
        try:
            assert building.wait(60)
            hive.run("approve", str(number))
            target = hive.git("applied/coder", "rev-parse", f"deployed/{number}")
            assert locked(hive) == {"coder": target}
            hive.run("meta-update", "agent-coder")
            assert locked(hive) == {"coder": target}
        finally:
            go_on.set()
        assert (spawned.exception() is None) is there
        if not there:
            assert isinstance(spawned.exception(), HiveError)
    hive.run("list")
    status = {row["id"]: row["status"] for row in hive.json("approvals", "--all")}
    assert (status[number], status[spawn]) == ("approved", "approved" if there else "pending")
    assert {row["name"] for row in hive.json("list")} == ({"coder", "tester"} if there else {"coder"})
    assert locked(hive).keys() == ({"coder", "tester"} if there else {"coder"})
    assert hive.git("meta", "status", "--porcelain") == ""
