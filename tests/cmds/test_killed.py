"""A process killed with -9 at any line of a deploy, a spawn, a denial or a destroy leaves all-new or all-old."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hive_cmds import inbox
from hive_core.caller import Identity, Role
from hive_fleet.agents import status
from hive_fleet.changes import running
from tests.hives import CHECKOUT, TestHive, eventually

SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'
# Where the steps of a deploy are. A place to die is a line before which something has changed: each of them in the first
# files, every third in the others.
EVERY_LINE = ("hive_fleet/changes/deploys.py", "hive_fleet/changes/spawns.py")
OTHERS = ("hive_fleet/flake/meta.py", "hive_fleet/requests/queue.py", "hive_fleet/changes/building.py", "hive_core/progress.py",
          "hive_core/containers/local/host.py", "hive_core/git/repository.py")  # fmt: skip


def killed_at(hive: TestHive, line: int, files: tuple[str, ...], *command: str) -> int:
    """Run a command that is killed at its n-th line in these files; its exit code, -9 when it was."""
    return hive.forked(*command, kill_at=(line, files)).returncode


def lines_of(hive: TestHive, files: tuple[str, ...], *command: str) -> int:
    """How many lines a command runs in these files when nothing kills it."""
    count = hive.root / "count"
    hive.extra["KILLING_COUNT"] = str(count)
    done = hive.forked(*command, kill_at=(0, files))
    assert done.returncode in (0, 1), done.stderr
    del hive.extra["KILLING_COUNT"]
    return int(count.read_text())


def places_of(hive: TestHive, files: tuple[str, ...], *command: str) -> list[int]:
    """The lines of a command, in these files, before which something on the disk has changed since the line before.

    To be killed at any other leaves the same, but for what makes no difference (see tests/killing.py). The first is
    among them, and one that the command does not come to.
    """
    told = hive.root / "places"
    hive.extra |= {"KILLING_WATCH": str(hive.home), "KILLING_PLACES": str(told)}
    count = lines_of(hive, files, *command)
    del hive.extra["KILLING_WATCH"], hive.extra["KILLING_PLACES"]
    places: list[int] = json.loads(told.read_text())
    assert 3 < len(places) <= count
    return [*places, count + 100]


def approval(hive: TestHive, number: int) -> dict[str, Any]:
    with hive.inside().store.read() as db:
        return dict(db.execute("select * from approvals where id = ?", (number,)).fetchone())


def assert_whole(hive: TestHive, number: int, before: str, target: str) -> str:
    """Approval, tags, `main`, work tree, lock, log and container all tell the same; returns the approval's status."""
    hive.asked("list")  # Any operation mends.
    became: str = approval(hive, number)["status"]
    new = became == "approved"
    expected = target if new else before
    refs = hive.git("applied/coder", "for-each-ref", "--format=%(refname:short) %(objectname)")
    shas = dict(line.split() for line in refs.splitlines())
    wanted = {
        "approved": {"proposal", "approved", "building", "deployed"},
        "failed": {"proposal", "approved", "building", "failed"},
        "pending": {"proposal"},
    }
    assert {tag for tag in shas if tag.endswith(f"/{number}")} == {f"{kind}/{number}" for kind in wanted[became]}
    assert shas["main"] == expected
    assert hive.git("applied/coder", "status", "--porcelain") == ""
    lock = json.loads((hive.home / "meta" / "flake.lock").read_text())
    assert lock["nodes"]["agent-coder"]["locked"]["rev"] == expected
    assert hive.git("meta", "status", "--porcelain") == ""
    assert (f"deploy coder deployed/{number} {target[:12]}" in hive.git("meta", "log", "--format=%s")) is new
    inside = hive.inside()
    view = status.of(inside, "coder")
    assert (view.running, view.deployed_sha, view.operation) == (True, expected[:12], None)
    assert inside.host.containers()["coder"].next_revision == expected
    return became


PLACES = [(EVERY_LINE, 1), (OTHERS, 3)]
BROKEN = 'runner = "nonsense{0}"\n'
DIES = 'runner = "command"\nsettle_seconds = 60\ncommand = ["sh", "-c", "echo {0}; exit 3"]\n'
DEPLOYS = {
    "good, every line": (SAY, *PLACES[0], "approved"),
    "good, around it": (SAY, *PLACES[1], "approved"),
    "broken, every line": (BROKEN, *PLACES[0], "failed"),
    "broken, around it": (BROKEN, *PLACES[1], "failed"),
    "dies at once": (DIES, (*EVERY_LINE, "hive_fleet/changes/settling.py"), 2, "failed"),
}


def case(name: str, *values: object) -> object:
    """Where none of the places is one of the backend's, its containers are only remembered."""
    return pytest.param(*values, id=name, marks=pytest.mark.remembered if "every line" in name else ())


@pytest.mark.parametrize(
    ("template", "files", "step", "final"), [case(name, *values) for name, values in DEPLOYS.items()]
)
def test_a_deploy_killed_anywhere_is_all_new_or_all_old(
    hive: TestHive, template: str, files: tuple[str, ...], step: int, final: str
) -> None:
    hive.spawn("coder")
    places = places_of(hive, files, "approve", str(hive.request("coder", template.format("first"))))
    seen, number, pending = set(), 0, False
    for line in [*places[:-1:step], places[-1]]:
        before = hive.git("applied/coder", "rev-parse", "main")
        if not pending:
            hive.git("agents/coder/config", "reset", "-q", "--hard", before)
            target = hive.propose("coder", template.format(line))
            number = int(hive.asked("request_commit", agent="coder", sha=target)["id"])
        code = killed_at(hive, line, files, "approve", str(number))
        became = assert_whole(hive, number, before, target)
        pending = became == "pending"
        seen.add((code, became))
    assert any(code == -9 for code, _ in seen)
    assert {became for _, became in seen} == {"pending", final}


@pytest.mark.parametrize(("files", "step"), [case("every line", *PLACES[0]), case("around it", *PLACES[1])])
def test_a_spawn_killed_anywhere_is_there_or_not(hive: TestHive, files: tuple[str, ...], step: int) -> None:
    hive.run("request-spawn", "first")
    places = places_of(hive, files, "approve", "1")
    number, name = 0, ""
    for line in [*places[:-1:step], places[-1]]:
        if not number:
            name = f"agent{line}"
            number = int(hive.asked("request_spawn", name=name)["id"])
        killed_at(hive, line, files, "approve", str(number))
        names = {row["name"] for row in hive.asked("list")}
        there = approval(hive, number)["status"] == "approved"
        assert (name in names) is there
        assert (hive.home / "applied" / name).exists() is there
        assert (hive.home / "agents" / name).exists() is there
        lock = json.loads((hive.home / "meta" / "flake.lock").read_text())
        assert (f"agent-{name}" in lock["nodes"]) is there
        assert hive.git("meta", "status", "--porcelain") == ""
        if there:
            assert hive.agent(name)["running"] is True
            hive.asked("kill", name=name)
            number = 0
    assert number == 0


@pytest.mark.remembered
def test_a_denial_killed_anywhere_stands_with_its_tag_or_is_none(hive: TestHive) -> None:
    hive.spawn("coder")
    files = ("hive_cmds/approvals.py", "hive_fleet/requests/queue.py", "hive_fleet/requests/denials.py")
    places = places_of(hive, files, "deny", str(hive.request("coder", SAY.format("first"))))
    number = 0
    for line in places:
        number = number or hive.request("coder", SAY.format(f"n{line}"))
        killed_at(hive, line, files, "deny", str(number), "--note", "no")
        hive.asked("list")
        denied = approval(hive, number)["status"] == "denied"
        assert (f"denied/{number}" in hive.git("applied/coder", "tag").split()) is denied
        number = 0 if denied else number


@pytest.mark.remembered
def test_a_destroy_killed_anywhere_is_finished_by_the_next_command(hive: TestHive) -> None:
    files = ("hive_cmds/removal.py", "hive_fleet/changes/removals.py")
    hive.spawn("first")
    places = places_of(hive, files, "destroy", "first", "--yes")
    for line in places:
        name = f"agent{line}"
        hive.spawn(name)
        killed_at(hive, line, files, "destroy", name, "--yes")
        alive = name in {row["name"] for row in hive.asked("list")}
        lock = json.loads((hive.home / "meta" / "flake.lock").read_text())
        assert (f"agent-{name}" in lock["nodes"]) is alive
        assert (hive.home / "containers" / name).exists() is alive
        assert (hive.home / "agents" / name).exists()


@pytest.mark.remembered
def test_a_request_killed_while_it_fetches_says_so(hive: TestHive) -> None:
    hive.spawn("coder")
    files = ("hive_fleet/requests/proposals.py",)
    places = places_of(hive, files, "request-commit", "coder", hive.propose("coder", SAY.format("first")))
    seen = set()
    for line in places:
        sha = hive.propose("coder", SAY.format(f"n{line}"))
        if killed_at(hive, line, files, "request-commit", "coder", sha) == -9:
            rows = [row for row in hive.asked("approvals", all=True) if row["commit_ref"] == sha]
            seen |= {(row["status"], "interrupted" in row.get("note", "")) for row in rows}
            again = hive.asked("request_commit", agent="coder", sha=sha)
            assert (again["status"], again["fetched_sha"]) == ("pending", sha)
            hive.asked("deny", id=again["id"])
    assert seen <= {("failed", True), ("pending", False)}
    assert ("failed", True) in seen


TOLD = {"start": "started", "stop": "killed", "restart": "restarted", "rebuild": "rebuilt"}
KICK = "You were {}. See your state folder for notes; your session continues."


def kicks(hive: TestHive) -> list[str]:
    return [body for body in hive.inbox("coder") if body.startswith("You were ")]


@pytest.mark.parametrize("verb", list(TOLD))
def test_a_lifecycle_command_killed_anywhere_ends_in_what_was_asked_for_or_changes_nothing(
    hive: TestHive, verb: str
) -> None:
    hive.spawn("coder")
    inside, event = hive.inside(), TOLD[verb]
    files = (
        "hive_cmds/lifecycle.py",
        "hive_fleet/changes/starts.py",
        "hive_fleet/changes/rebuilds.py",
        "hive_fleet/changes/running.py",
        "hive_fleet/changes/building.py",
        "hive_core/containers/local/host.py",
    )
    opposite = {"start": "stop", "stop": "start"}
    if verb in opposite:
        hive.asked(opposite[verb], name="coder")
    *places, end = places_of(hive, files, verb, "coder")
    for line in [*places[::2], end]:
        if verb in opposite:
            hive.asked(opposite[verb], name="coder")
        # A kick is said once for as long as it waits.
        inbox.recv(inside.acting_as(Identity(Role.AGENT, "coder")), limit=1000)
        known, told, kicked = running.before(inside, "coder"), len(hive.events(event)), len(kicks(hive))
        killed_at(hive, line, files, verb, "coder")
        hive.asked("list")
        changed = {**running.before(inside, "coder")} != known
        assert len(hive.events(event)) - told == changed, f"{verb} killed at line {line}"
        assert kicks(hive)[kicked:] == [KICK.format(event)] * (changed and verb != "stop")
        agent = status.of(hive.inside(), "coder")
        assert (agent.operation, agent.failed) == (None, False)
        with hive.inside().store.read() as db:
            desired = db.execute("select desired from agents where name = 'coder'").fetchone()[0]
        assert agent.running is (desired == "running")
    assert eventually(lambda: not list(Path(hive.home / "containers").glob(".*new*")))


SLOW = """\
runner = "command"
settle_seconds = 0.05
command = ["sh", "-c", "trap 'echo ending; sleep 0.5; exit 0' TERM; echo ready; while :; do sleep 0.05; done"]
"""


@pytest.mark.parametrize("verb", ["restart", "rebuild"])
def test_what_was_asked_to_end_by_who_was_killed_is_not_taken_for_what_runs(hive: TestHive, verb: str) -> None:
    hive.spawn("coder", SLOW)
    host, before = hive.inside().host, hive.instance("coder")
    assert eventually(lambda: any(line.endswith("ready") for line in host.journal("coder", 9)))
    killed = hive.start(verb, "coder")
    assert eventually(lambda: any(line.endswith("ending") for line in host.journal("coder", 9)))
    killed.kill()
    killed.wait()
    hive.asked("list")
    assert hive.instance("coder") not in (None, before)
    assert hive.agent("coder")["running"]


LEAVE_HALF_DESTROYED = """
import os
from hive_fleet.changes.removals import DESTROY
from hive_core import progress, settings
from hive_core.context import Hive
hive = Hive.open(settings.from_environment(os.environ))
progress.begin(hive, "coder", DESTROY, {"purge": False})
"""
HOLD = """
import os
from hive_core import progress, settings
from hive_core.context import Hive
with progress.held(Hive.open(settings.from_environment(os.environ)), "coder", "a test"):
    pass
"""


def test_any_command_mends_what_another_left_also_when_it_died_after_the_first_look(hive: TestHive) -> None:
    hive.spawn("coder")
    for program in (LEAVE_HALF_DESTROYED, HOLD):
        hive.run(program=[sys.executable, "-c", program], cwd=CHECKOUT)
    assert hive.asked("list") == []
    assert hive.events("recovered")[-1]["outcome"] == "destroyed"
