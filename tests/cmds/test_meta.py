"""The meta flake: what its lock says, how its inputs move, who is rebuilt then, and how an older layout becomes it."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from hive_agent import MANAGER
from tests.hives import CHECKOUT, PLAIN, TestHive, interrupt

SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'
BROKEN = 'runner = "nonsense"\n'
OLDER = "1" * 40
# What is locked and who is rebuilt does not depend on what runs.
pytestmark = pytest.mark.remembered


@pytest.fixture
def three(hive: TestHive) -> TestHive:
    """A hive with three agents, made in no order."""
    for name in ("tester", "coder", "writer"):
        hive.spawn(name)
    return hive


def lock(hive: TestHive) -> bytes:
    return (hive.home / "meta" / "flake.lock").read_bytes()


def locked(hive: TestHive, name: str) -> str:
    """The full rev that the lock names for an input."""
    return str(json.loads(lock(hive))["nodes"][name]["locked"]["rev"])


def log(hive: TestHive) -> list[str]:
    """What the meta flake's log tells, newest first."""
    return hive.git("meta", "log", "--format=%s").splitlines()


def main(hive: TestHive, name: str) -> str:
    return hive.git(f"applied/{name}", "rev-parse", "main")


def commit_applied(hive: TestHive, name: str, toml: str) -> str:
    """Commit to an applied repository itself, past hive; the sha."""
    (hive.home / "applied" / name / "agent.toml").write_text(toml)
    hive.git(f"applied/{name}", "commit", "-qam", "past hive")
    return main(hive, name)


def base(hive: TestHive) -> Path:
    """Another source for the input `hive`: a repository that a test may commit to."""
    folder = hive.root / "base"
    folder.mkdir()
    hive.git(str(folder), "init", "-q", "-b", "main")
    hive.extra["HIVE_FLAKE"] = f"git+file://{folder}?ref=main"
    bump(hive)
    return folder


def bump(hive: TestHive) -> str:
    """A newer commit of the input `hive`; its sha."""
    folder = str(hive.root / "base")
    hive.git(folder, "commit", "-q", "--allow-empty", "-m", "newer")
    return hive.git(folder, "rev-parse", "main")


def rebuilt(hive: TestHive) -> list[str]:
    """Of whom the manager was told that they were rebuilt, in order."""
    told = [json.loads(body) for body in hive.inbox(MANAGER) if body.startswith("{")]
    return [message["agent"] for message in told if message["event"] == "rebuilt" and message["ok"]]


def make_stale(hive: TestHive, *names: str) -> None:
    """As if these had been built on an older base."""
    with hive.inside().store.write() as db:
        for name in names:
            db.execute("update agents set hive_rev = ? where name = ?", (OLDER, name))


# --- the lock


def test_inputs_are_hive_then_the_agents_by_name_with_rev_age_and_url(three: TestHive) -> None:
    rows = three.json("inputs")
    assert [row["name"] for row in rows] == ["hive", "agent-coder", "agent-tester", "agent-writer"]
    assert {row["rev"] for row in rows[1:]} == {main(three, name)[:12] for name in ("coder", "tester", "writer")}
    assert rows[1]["url"] == f"git+file://{three.home}/applied/coder?ref=main"
    assert rows[1]["last_modified"] == int(three.git("applied/coder", "show", "-s", "--format=%ct", "main"))
    assert rows[0]["rev"] == three.git(str(CHECKOUT), "rev-parse", "HEAD")[:12]
    head, *lines = three.run("inputs").stdout.splitlines()
    assert head.split() == ["NAME", "REV", "AGE", "URL"]
    assert [re.match(r"(\S+)  +[0-9a-f]{12}  \d+ (s|min|h|d) +git\+file://", line) is not None for line in lines] == [
        True
    ] * 4


def test_there_are_no_inputs_before_there_is_an_agent(hive: TestHive) -> None:
    assert hive.json("inputs") == []


def test_the_lock_is_the_same_to_the_byte_when_nothing_changed(three: TestHive) -> None:
    before, commits = lock(three), log(three)
    for command in (["rebuild", "coder"], ["update", "tester"], ["meta-update", "hive", "agent-writer"]):
        three.run(*command)
        assert (lock(three), log(three)) == (before, commits)
    three.spawn("extra")
    three.run("destroy", "extra", "--yes")
    assert lock(three) == before


def test_the_lock_is_as_nix_writes_it(three: TestHive) -> None:
    text = lock(three).decode()
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True) + "\n"
    assert json.loads(text)["version"] == 7


def test_a_rebuild_locks_what_it_built(three: TestHive) -> None:
    sha = commit_applied(three, "coder", SAY.format("past"))
    three.run("rebuild", "coder")
    assert three.agent("coder")["deployed_sha"] == sha[:12]
    assert locked(three, "agent-coder") == sha
    assert log(three)[0] == f"rebuild coder {sha[:12]}"
    assert three.events("meta_inputs_changed")[-1]["inputs"][1]["rev"] == sha[:12]


def test_the_inputs_are_told_when_they_change_and_only_then(three: TestHive) -> None:
    assert [len(event["inputs"]) for event in three.events("meta_inputs_changed")] == [2, 3, 4]
    three.run("meta-update", "agent-coder")
    three.run("update", "--stale")
    three.run("rebuild", "coder")
    assert len(three.events("meta_inputs_changed")) == 3
    commit_applied(three, "coder", SAY.format("past"))
    three.run("meta-update", "agent-coder")
    assert len(three.events("meta_inputs_changed")) == 4


# --- meta-update


def test_one_agents_input_moves_alone_and_that_agent_alone_is_rebuilt(three: TestHive) -> None:
    before = {name: locked(three, f"agent-{name}") for name in ("tester", "writer")}
    instances = {name: three.instance(name) for name in before}
    sha = commit_applied(three, "coder", SAY.format("past"))
    commit_applied(three, "tester", SAY.format("past"))
    commits = log(three)
    assert three.json("meta-update", "agent-coder") == [{"name": "coder", "ok": True}]
    assert locked(three, "agent-coder") == sha
    assert {name: locked(three, f"agent-{name}") for name in before} == before
    assert {name: three.instance(name) for name in before} == instances
    assert log(three) == ["lock update: agent-coder", *commits]
    assert rebuilt(three) == ["coder"]


def test_the_base_moves_with_one_commit_and_everybody_is_rebuilt_with_progress_on_stderr(hive: TestHive) -> None:
    base(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    commits, new = log(hive), bump(hive)
    sha = commit_applied(hive, "coder", SAY.format("past"))
    done = hive.run("meta-update", "agent-coder", "hive", "hive", "--json")
    assert json.loads(done.stdout) == [{"name": "coder", "ok": True}, {"name": "tester", "ok": True}]
    assert done.stderr.splitlines() == ["rebuilding coder (1 of 2)", "rebuilding tester (2 of 2)"]
    assert log(hive) == ["lock update: hive, agent-coder", *commits]
    assert (locked(hive, "hive"), locked(hive, "agent-coder")) == (new, sha)
    assert sorted(rebuilt(hive)) == ["coder", "tester"]
    assert [row["needs_update"] for row in hive.json("list")] == [False, False]


def test_one_rebuild_that_fails_does_not_stop_the_rest(three: TestHive) -> None:
    instance = three.instance("tester")
    commit_applied(three, "tester", BROKEN)
    done = three.run("meta-update", "hive", "--json", code=1)
    rows = json.loads(done.stdout)
    assert [(row["name"], row["ok"]) for row in rows] == [("coder", True), ("tester", False), ("writer", True)]
    assert "nonsense" in rows[1]["error"]
    assert "warning: tester was not rebuilt" in done.stderr
    assert sorted(rebuilt(three)) == ["coder", "writer"]
    assert (three.instance("tester"), three.agent("tester")["running"]) == (instance, True)
    assert [row["name"] for row in three.json("list")] == ["coder", "tester", "writer"]


def test_a_canary_comes_first_and_then_the_rest(hive: TestHive) -> None:
    base(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    new = bump(hive)
    done = hive.run("meta-update", "hive", "--canary", "tester", "--json")
    assert [row["name"] for row in json.loads(done.stdout) if row["ok"]] == ["tester", "coder"]
    assert done.stderr.splitlines() == ["rebuilding tester, the canary (1 of 2)", "rebuilding coder (2 of 2)"]
    assert locked(hive, "hive") == new
    assert [row["needs_update"] for row in hive.json("list")] == [False, False]


@pytest.mark.parametrize("toml", [BROKEN, SAY.replace("exec sleep infinity", "exit 3")])
def test_a_canary_that_does_not_live_has_all_put_back_and_no_other_touched(hive: TestHive, toml: str) -> None:
    base(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    before, commits, instance, own = lock(hive), log(hive), hive.instance("coder"), hive.instance("tester")
    bump(hive)
    commit_applied(hive, "tester", toml)
    (row,) = json.loads(hive.run("meta-update", "hive", "--canary", "tester", "--json", code=1).stdout)
    assert (row["name"], row["ok"]) == ("tester", False)
    assert "No other agent was touched. The lock is as it was." in row["error"]
    assert (lock(hive), log(hive)) == (before, commits)
    assert hive.instance("coder") == instance
    # What could not even be built took nothing from it.
    assert (hive.instance("tester") == own) == (toml == BROKEN)
    assert hive.git("meta", "status", "--porcelain") == ""
    assert "coder" not in rebuilt(hive)
    commit_applied(hive, "tester", PLAIN)
    hive.run("meta-update", "hive", "--canary", "tester")


def test_a_canary_is_one_that_is_rebuilt_and_runs(three: TestHive) -> None:
    before = lock(three)
    assert "A canary is one of coder" in three.run("meta-update", "agent-coder", "--canary", "tester", code=2).stderr
    three.run("stop", "tester")
    assert "a canary has to run" in three.run("meta-update", "hive", "--canary", "tester", code=1).stderr
    assert lock(three) == before


def test_an_unknown_input_is_refused_and_moves_nothing(three: TestHive) -> None:
    before, seq = lock(three), three.events()[-1]["seq"]
    unknown = {"agent-nobody": 1, "nixpkgs": 2, "agent-": 2, "agent-../x": 2, "coder": 2, "root": 2, "*": 2}
    for name, code in unknown.items():
        told = three.run("meta-update", "hive", name, code=code).stderr
        assert told.splitlines()[0].startswith("hive: "), name
        assert told.splitlines()[0].endswith("."), name
        assert lock(three) == before, name
        assert three.events()[-1]["seq"] == seq, name


def test_an_update_of_nothing_is_a_usage_error(hive: TestHive) -> None:
    hive.run("meta-update", code=2)


# --- update --stale


def test_who_was_built_on_another_base_is_rebuilt_and_nobody_else(three: TestHive) -> None:
    make_stale(three, "coder", "writer")
    assert [row["needs_update"] for row in three.json("list")] == [True, False, True]
    commits = log(three)
    assert [row["name"] for row in three.json("update", "--stale")] == ["coder", "writer"]
    assert sorted(rebuilt(three)) == ["coder", "writer"]
    assert log(three) == commits
    assert three.json("update", "--stale") == []


def test_the_base_is_bumped_once_for_all_who_are_stale(hive: TestHive) -> None:
    base(hive)
    for name in ("coder", "tester"):
        hive.spawn(name)
    commits, new = log(hive), bump(hive)
    assert [row["name"] for row in hive.json("update", "--stale")] == ["coder", "tester"]
    assert log(hive) == ["lock update: hive", *commits]
    assert locked(hive, "hive") == new


def test_a_bump_that_fails_is_told_and_who_is_stale_is_rebuilt_all_the_same(hive: TestHive) -> None:
    folder = base(hive)
    hive.spawn("coder")
    make_stale(hive, "coder")
    before = lock(hive)
    folder.rename(folder.with_name("gone"))
    done = hive.run("update", "--stale", "--json")
    assert "warning: the input hive could not be moved" in done.stderr
    assert json.loads(done.stdout) == [{"name": "coder", "ok": True}]
    assert lock(hive) == before


def test_up_brings_everybody_up_to_date(hive: TestHive) -> None:
    hive.configure(MANAGER, PLAIN)
    for _ in range(2):
        process = hive.start("up")
        assert process.stderr is not None
        assert any(line.startswith("hive is up") for line in process.stderr)
        assert [row["needs_update"] for row in hive.json("list")] == [False]
        assert interrupt(process) == 130
        make_stale(hive, MANAGER)


def test_update_takes_a_name_or_stale_and_not_both(hive: TestHive) -> None:
    hive.run("update", code=2)
    hive.run("update", "coder", "--stale", code=2)


def test_a_base_that_cannot_be_looked_up_is_refused_and_leaves_nothing(hive: TestHive) -> None:
    hive.configure("coder", PLAIN)
    for url in ("github:nobody/hive", "git+file:///nowhere?ref=main", "git+file:///nowhere"):
        hive.extra["HIVE_FLAKE"] = url
        assert f"HIVE_FLAKE is {url}" in hive.run("spawn", "coder", code=1).stderr
        assert hive.json("list") == hive.json("inputs") == [], url
    del hive.extra["HIVE_FLAKE"]
    hive.run("spawn", "coder")


# --- migrate


def older_layout(hive: TestHive) -> None:
    """What hive was before the meta flake: folders and applied repositories, no container, no database."""
    inside = hive.inside()
    for name in inside.host.containers():
        inside.host.destroy(name)
    inside.store.close()
    for folder in ("meta", "containers", "proposed", "locks"):
        shutil.rmtree(hive.home / folder, ignore_errors=True)
    for path in hive.home.glob("hive.db*"):
        path.unlink()


def test_an_older_layout_is_taken_over_container_by_container(three: TestHive) -> None:
    shas = {name: main(three, name) for name in ("coder", "tester", "writer")}
    (three.home / "agents" / "coder" / "state" / "note").write_text("remember")
    older_layout(three)
    done = three.run("migrate", "--json")
    assert json.loads(done.stdout) == [{"name": name, "ok": True} for name in ("coder", "tester", "writer")]
    assert done.stderr.splitlines() == ["migrating coder", "migrating tester", "migrating writer"]
    assert {row["name"]: row["deployed_sha"] for row in three.json("list") if row["running"]} == {
        name: sha[:12] for name, sha in shas.items()
    }
    assert {name: locked(three, f"agent-{name}") for name in shas} == shas
    shown = [(event["kind"], event["name"]) for event in three.events("transient_set", "transient_cleared")]
    assert shown[:2] == [("transient_set", "coder"), ("transient_cleared", "coder")]
    assert {event["transient_kind"] for event in three.events("transient_set")} == {"rebuilding"}
    assert (three.home / "agents" / "coder" / "state" / "note").read_text() == "remember"


def test_a_migration_again_is_as_good_as_once(three: TestHive) -> None:
    older_layout(three)
    three.run("migrate")
    before = (lock(three), log(three), three.json("list"), three.events())
    assert three.json("migrate") == []
    assert (lock(three), log(three), three.json("list"), three.events()) == before
    three.run("destroy", "coder", "--yes")
    assert three.json("migrate") == []
    assert [row["name"] for row in three.json("tombstones")] == ["coder"]


def test_there_is_nothing_to_migrate_where_there_is_nothing(hive: TestHive) -> None:
    assert hive.json("migrate") == []


def test_one_agent_that_cannot_be_taken_over_does_not_stop_the_rest(three: TestHive) -> None:
    commit_applied(three, "tester", BROKEN)
    older_layout(three)
    rows = json.loads(three.run("migrate", "--json", code=1).stdout)
    assert [(row["name"], row["ok"]) for row in rows] == [("coder", True), ("tester", False), ("writer", True)]
    assert {row["name"]: row["running"] for row in three.json("list")} == {
        "coder": True,
        "tester": False,
        "writer": True,
    }


def killed_at(hive: TestHive, line: int, *command: str) -> int:
    """Run a command that is killed at its n-th line of the migration; its exit code, -9 when it was."""
    files = ["hive_cmds/meta.py", "changes/takeovers.py", "changes/rebuilds.py", "hive_fleet/flake/meta.py"]
    return hive.forked(*command, kill_at=(line, files)).returncode


def test_a_migration_that_was_cut_short_goes_on_and_ends_as_one_that_was_not(three: TestHive) -> None:
    older_layout(three)
    codes = [killed_at(three, line, "migrate") for line in (1, 5, 20, 60, 150, 250, 400)]
    assert codes.count(-9) >= 3
    three.run("migrate")
    assert {row["name"]: row["running"] for row in three.json("list")} == dict.fromkeys(
        ("coder", "tester", "writer"), True
    )
    assert [row["name"] for row in three.json("inputs")] == ["hive", "agent-coder", "agent-tester", "agent-writer"]
    assert three.git("meta", "status", "--porcelain") == ""
    assert not (three.home / "migrating").exists()
    three.run("destroy", "coder", "--yes")
    assert three.json("migrate") == []
    assert [row["name"] for row in three.json("list")] == ["tester", "writer"]
