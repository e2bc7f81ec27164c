"""Going back to what was deployed before: a commit on top, decided and deployed as any other."""

from __future__ import annotations

import json

import pytest

from hive_agent import MANAGER
from tests.hives import PLAIN, TestHive, eventually

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'


@pytest.fixture
def third(hive: TestHive) -> TestHive:
    """A hive with an agent that was deployed with `one`, `two` and `three`, by requests 2 to 4."""
    hive.spawn("coder")
    for word in ("one", "two", "three"):
        hive.run("approve", str(hive.request("coder", SAY.format(word))))
    return hive


def configured(hive: TestHive) -> str:
    return (hive.home / "applied" / "coder" / "agent.toml").read_text()


def test_it_goes_back_by_a_commit_on_top_with_all_that_a_deploy_leaves(third: TestHive) -> None:
    before = third.git("applied/coder", "rev-parse", "main")
    done = third.json("rollback", "coder")
    assert (done["id"], done["status"], done["description"]) == (5, "approved", "rollback to deployed/3")
    assert configured(third) == SAY.format("two")
    main = third.git("applied/coder", "rev-parse", "main")
    assert third.git("applied/coder", "rev-parse", "main^") == before
    assert third.git("applied/coder", "rev-parse", "main^{tree}") == third.git(
        "applied/coder", "rev-parse", "deployed/3^{tree}"
    )
    tags = third.git("applied/coder", "tag", "--points-at", "main").splitlines()
    assert tags == ["approved/5", "building/5", "deployed/5", "proposal/5"]
    assert third.git("meta", "log", "-1", "--format=%s") == f"deploy coder deployed/5 {main[:12]}"
    eventually(lambda: "two" in third.run("journal", "coder", "--lines", "1").stdout)
    told = [json.loads(body) for body in third.inbox(MANAGER) if body.startswith("{")]
    assert [(event["event"], event.get("tag")) for event in told][-2:] == [
        ("approval_resolved", "deployed/5"),
        ("rebuilt", "deployed/5"),
    ]
    assert third.run("rollback", "coder").stdout
    assert configured(third) == SAY.format("three")


def test_a_deploy_is_named_by_its_request(third: TestHive) -> None:
    third.run("rollback", "coder", "--to", "2")
    assert configured(third) == SAY.format("one")


def test_the_first_configuration_can_be_gone_back_to(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", SAY.format("one"))))
    assert hive.json("rollback", "coder")["description"] == "rollback to the configuration it was made with"
    assert configured(hive) == PLAIN


def test_what_was_never_deployed_or_is_there_is_refused_and_leaves_nothing(third: TestHive) -> None:
    third.run("deny", str(third.request("coder", SAY.format("denied"))))
    events = len(third.events())
    assert "Deployed were: 4, 3, 2." in third.run("rollback", "coder", "--to", "5", code=1).stderr
    assert "is what coder has now" in third.run("rollback", "coder", "--to", "4", code=1).stderr
    assert "There is no agent 'codr'." in third.run("rollback", "codr", code=1).stderr
    assert [row["id"] for row in third.json("approvals", "--all")] == [1, 2, 3, 4, 5]
    assert len(third.events()) == events


def test_an_agent_that_was_never_changed_has_nothing_to_go_back_to(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "has never had another configuration" in hive.run("rollback", "coder", code=1).stderr


@RUNNING
def test_one_that_dies_now_fails_and_leaves_what_runs(hive: TestHive) -> None:
    hive.spawn("coder")
    needed = hive.home / "agents" / "coder" / "state" / "needed"
    needed.write_text("x")
    script = "test -e /state/needed || exit 4; echo up; exec sleep infinity"
    needs = f'runner = "command"\nsettle_seconds = 1.0\ncommand = ["sh", "-c", "{script}"]\n'
    hive.run("approve", str(hive.request("coder", needs)))
    hive.run("approve", str(hive.request("coder", SAY.format("two"))))
    needed.unlink()
    assert "exit code 4" in hive.run("rollback", "coder", code=1).stderr
    assert configured(hive) == SAY.format("two")
    row = hive.json("show", "4")["approval"]
    assert (row["status"], row["description"]) == ("failed", "rollback to deployed/2")
    assert hive.agent("coder")["running"] is True


def test_what_was_under_the_same_name_before_is_not_gone_back_to(third: TestHive) -> None:
    third.run("destroy", "coder", "--purge", "--yes")
    third.spawn("coder")
    assert "has never had another configuration" in third.run("rollback", "coder", code=1).stderr
