"""The list of what needs the operator, kept piece by piece, is what is computed from everything."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from hive_core import repairs
from hive_core.caller import Identity, Role
from hive_core.containers.memory import MemoryHost
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_faces.verbs import everything
from hive_fleet.agents import last_seen
from hive_fleet.needs import needs
from hive_fleet.watching import attention
from hive_fleet.watching.looks import look_at
from hive_fleet.watching.rounds import tick
from tests.hives import PLAIN, TestHive

pytestmark = pytest.mark.remembered

AGENTS = ("coder", "tester")
# What no database tells.
LOOKED_AT = ("disk", "backup", "settings")


class Chance:
    """Things that happen at random, of those that need the operator or end such a need."""

    def __init__(self, place: TestHive, seed: int) -> None:
        self.random, self.place, self.hive = random.Random(seed), place, place.inside()
        self.host = MemoryHost(self.hive.settings)
        self.deeds: list[Callable[[], Any]] = [
            self.crash, self.look, self.look, self.ask, self.answer, self.request, self.decide, self.report, self.fail,
            self.run, self.acknowledge, self.age, self.become_stale,
        ]  # fmt: skip

    def some(self, count: int) -> None:
        for _ in range(count):
            with suppress(HiveError):
                self.random.choice(self.deeds)()

    def call(self, verb: str, by: str = "operator", **arguments: object) -> Any:
        caller = {"operator": Role.OPERATOR, "manager": Role.MANAGER}.get(by, Role.AGENT)
        return everything()[verb].call(self.hive.acting_as(Identity(caller, by)), arguments)

    def agent(self) -> str:
        return self.random.choice(AGENTS)

    def crash(self) -> None:
        self.host.finish(self.agent(), self.random.choice([0, 1, 137]))

    def look(self) -> None:
        look_at(self.hive, self.random.choice([None, [self.agent()]]))

    def ask(self) -> None:
        self.call("ask", self.agent(), question="may I?", ttl=self.random.choice([None, 1]))

    def answer(self) -> None:
        if found := self.call("questions"):
            verb, more = self.random.choice([("answer", {"text": "yes"}), ("cancel_question", {})])
            self.call(verb, id=self.random.choice(found).id, **more)

    def request(self) -> None:
        if self.random.random() < 0.5:
            self.call("request_spawn", "manager", name=f"new{self.random.randint(1, 9)}", description="to\nhelp")
        else:
            sha = self.place.propose("coder", f"{PLAIN}# {self.random.random()}\n")
            self.call("request_commit", agent="coder", sha=sha)

    def decide(self) -> None:
        if found := self.call("approvals"):
            verb = self.random.choice(["approve", "deny", "cancel"])
            self.call(verb, id=self.random.choice(found).id)

    def report(self) -> None:
        state = self.random.choice(["idle", "no_program", "needs_login", "key_refused", "account_trouble"])
        self.call("set_status", self.agent(), state=state, text=f"at {self.random.randint(1, 3)}")

    def fail(self) -> None:
        """Something of an agent, or of one that is gone, cannot be mended; or it is after all."""
        name = self.random.choice([*AGENTS, "gone"])
        if self.random.random() < 0.5:
            repairs.attempt(self.hive, f"operation/{name}", name, self.refuse)
        else:
            with self.hive.store.write() as db:
                repairs.done(self.hive, db, f"operation/{name}")

    def refuse(self) -> None:
        raise Refused(self.random.choice(["The disk is full.", "There is no such commit."]))

    def run(self) -> None:
        self.call(self.random.choice(["start", "stop", "restart", "kill", "pause", "destroy"]), name=self.agent())

    def acknowledge(self) -> None:
        if found := self.call("needs_you", all=True):
            self.call("acknowledge", id=self.random.choice(found).id)

    def age(self) -> None:
        """Deadlines pass."""
        later = self.hive.clock() + 10
        self.hive.clock = lambda: later
        tick(self.hive, seed=False)

    def become_stale(self) -> None:
        with self.hive.store.write() as db:
            db.execute("update agents set hive_rev = ? where name = ?", (f"{self.random.random()}", self.agent()))


def disagreement(hive: Hive) -> set[tuple[object, ...]]:
    """What the list has and should not, or should and has not. What nothing but a look tells of is left aside."""
    with hive.store.read() as db:
        shown = {view["name"] for view in last_seen.shown(db)}
        kept = {(need.id, *need.content) for need in needs.every(db) if need.kind not in LOOKED_AT}
        right = {(need.id, *need.content) for need in attention.computed(hive, db)}
    of_nobody = {f"repair/{name}" for name in (*AGENTS, "gone") if name not in shown}
    return {row for row in kept ^ right if row[0] not in of_nobody}


@pytest.mark.parametrize("seed", range(4))
def test_after_any_history_the_list_is_what_is_computed_from_everything(hive: TestHive, seed: int) -> None:
    for name in AGENTS:
        hive.spawn(name)
    chance = Chance(hive, seed)
    tick(chance.hive, seed=True)
    for _ in range(12):
        chance.some(8)
        assert disagreement(chance.hive) == set()
    tick(chance.hive, seed=False)
    with chance.hive.store.read() as db:
        assert needs.agrees(db, [need for need in needs.every(db) if need.kind in LOOKED_AT]
                            + attention.computed(chance.hive, db))  # fmt: skip


def test_what_a_destroyed_agent_needed_nobody_needs_any_more(hive: TestHive) -> None:
    for name in AGENTS:
        hive.spawn(name)
    inside = hive.inside()
    tick(inside, seed=True)
    with inside.store.write() as db:
        db.execute("update agents set hive_rev = 'another'")
    tick(inside, seed=False)
    assert {row["id"] for row in hive.asked("needs_you")} == {"stale/coder", "stale/tester"}
    hive.run("destroy", "coder", "--yes")
    assert [row["id"] for row in hive.asked("needs_you")] == ["stale/tester"]
    assert hive.events("need_resolved")[-1]["need"]["id"] == "stale/coder"


def test_a_database_of_an_older_hive_gets_its_list_at_the_first_look(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    hive.run("ask", "May I?")
    hive.run("request-spawn", "tester")
    tick(inside, seed=True)
    with inside.store.write() as db:
        before = needs.every(db)
        db.execute("delete from needs")
    tick(inside, seed=False)
    with inside.store.read() as db:
        assert {need.id for need in needs.every(db)} == {"question/1", "request/2"} == {need.id for need in before}


def test_what_was_left_half_done_of_an_agent_that_is_gone_is_listed_until_it_is_mended(hive: TestHive) -> None:
    inside = hive.inside()
    repairs.attempt(inside, "denied/7", "gone", lambda: (_ for _ in ()).throw(Refused("no such commit")))
    tick(inside, seed=False)
    (row,) = [row for row in hive.asked("needs_you") if row["kind"] == "repair"]
    assert (row["id"], row["quote"], row["command"]) == ("repair/gone", "no such commit", "hive doctor")
    with inside.store.write() as db:
        repairs.done(inside, db, "denied/7")
    tick(inside, seed=False)
    assert [row for row in hive.asked("needs_you") if row["kind"] == "repair"] == []


def test_a_backup_that_is_old_is_listed_until_there_is_a_newer_one(hive: TestHive) -> None:
    hive.run("send", "operator", "hello")
    inside = hive.inside()
    tick(inside, seed=False)
    assert hive.asked("needs_you") == []
    hive.run("backup", str(hive.root / "one"))
    later = inside.clock() + 8 * 86400
    inside.clock = lambda: later
    tick(inside, seed=False)
    (row,) = hive.asked("needs_you")
    assert (row["id"], row["weight"], row["command"]) == ("backup", 1, "hive backup DIR")
    hive.run("backup", str(hive.root / "two"))
    tick(hive.inside(), seed=False)
    assert hive.asked("needs_you") == []


def test_a_disk_that_is_full_soon_is_listed_and_one_that_cannot_be_asked_is_not(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = hive.inside()
    hive.run("send", "operator", "hello")
    disk = os.statvfs(hive.home)
    free, whole = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    # How full this machine's disk is nobody knows: what is scarce is set around what is free, far enough for others.
    for bytes_, share, listed in ((2 * free, 1 + free / whole, True), (free // 2, 2.0, False), (2 * free, 0.0, False)):
        monkeypatch.setattr(attention, "SCARCE", bytes_)
        monkeypatch.setattr(attention, "SHARE", share)
        tick(inside, seed=False)
        assert [(row["id"], row["weight"]) for row in hive.asked("needs_you")] == [("disk", 3)] * listed
    monkeypatch.setattr(attention, "SHARE", 2.0)
    assert attention._disk(inside) is not None
    inside.settings = inside.settings._replace(home=hive.home / "gone")
    assert attention._disk(inside) is None
