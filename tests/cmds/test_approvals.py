"""The approval queue, from request to running agent, driven through the command line as the operator drives it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from hive_core.git.packs import object_sha
from tests.core.git.test_packs import entry, pack, varint
from tests.git import write_object
from tests.hives import PATIENCE, PLAIN, TestHive, asleep, eventually, is_code

pytestmark = pytest.mark.remembered
RUNNING = pytest.mark.remembered(False)
SAY = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo {0}; exec sleep infinity"]\n'


@pytest.fixture
def coder(hive: TestHive) -> TestHive:
    """A hive with one running agent, whose configuration settles at once."""
    hive.configure("coder", PLAIN)
    hive.run("request-spawn", "coder", "--description", "writes code")
    hive.run("approve", "1")
    return hive


def says(hive: TestHive, word: str) -> bool:
    return eventually(lambda: any(line.endswith(f" {word}") for line in hive.json("journal", "coder")))


def tags(hive: TestHive) -> set[str]:
    return set(hive.git("applied/coder", "tag").split())


def meta_log(hive: TestHive) -> list[str]:
    return hive.git("meta", "log", "--format=%s").splitlines()


def test_a_spawn_waits_for_approval_and_then_runs(hive: TestHive) -> None:
    row = hive.json("request-spawn", "coder", "--description", "writes code")
    assert (row["id"], row["status"], row["kind"], row["description"]) == (1, "pending", "spawn", "writes code")
    assert hive.json("list") == []
    assert hive.json("approve", "1")["status"] == "approved"
    agent = hive.agent("coder")
    assert agent["running"] is True
    assert agent["deployed_sha"] == hive.git("applied/coder", "rev-parse", "main")[:12]
    assert hive.json("approvals") == []
    assert [row["status"] for row in hive.json("approvals", "--all")] == ["approved"]


def test_an_approved_commit_runs_and_tags_lock_and_log_say_so(coder: TestHive) -> None:
    before = meta_log(coder)
    sha = coder.propose("coder", SAY.format("new"))
    row = coder.json("request-commit", "coder", sha[:10], "--description", "say new")
    assert (row["id"], row["fetched_sha"], row["commit_ref"]) == (2, sha, sha[:10])
    shown = coder.run("show", "2").stdout
    assert "+command = [" in shown
    assert "say new" in shown
    assert not shown.endswith("\n\n")
    assert not coder.run("show", "1").stdout.endswith("\n\n")
    assert coder.json("approve", "2", "--sha", sha)["status"] == "approved"
    assert says(coder, "new")
    assert tags(coder) == {"proposal/2", "approved/2", "building/2", "deployed/2"}
    assert coder.git("applied/coder", "rev-parse", "main") == sha
    assert coder.git("applied/coder", "status", "--porcelain") == ""
    assert meta_log(coder) == [f"deploy coder deployed/2 {sha[:12]}", *before]
    lock = json.loads((coder.home / "meta" / "flake.lock").read_text())
    assert lock["nodes"]["agent-coder"]["locked"]["rev"] == sha
    assert coder.git("meta", "status", "--porcelain") == ""
    assert next(line for line in coder.json("inputs") if line["name"] == "agent-coder")["rev"] == sha[:12]


PULL = """
git config --global alias.mine "log -1 --format=pulled-%s"
cd /agents/coder/config && git pull --quiet && git mine
exec sleep infinity
"""


def as_listed(coder: TestHive) -> dict[str, object]:
    """Its row, but for whether its port is served: an agent of another hive may have that port, too."""
    return {name: value for name, value in coder.agent("coder").items() if name != "url"}


@RUNNING
def test_the_manager_pulls_what_was_deployed_and_keeps_settings_of_its_own(coder: TestHive) -> None:
    coder.configure("manager", f"runner = 'command'\ncommand = ['sh', '-c', '''{PULL}''']")
    coder.run("approve", str(coder.request("coder", SAY.format("new"))))
    # The clone was made before there was a manager, and is given to it.
    coder.start("up")
    eventually(lambda: any(row["running"] for row in coder.json("list") if row["name"] == "manager"))
    eventually(lambda: "pulled-change" in coder.run("journal", "manager").stdout)


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ('runner = "command"\ncommand = ["sh"\n', ["agent.toml", "line"]),
        ('runner = "command"\ncommand = ["sh"]\n\n[limits]\nmemory = "lots"\n', ["agent.toml", "5", "memory", "lots"]),
        pytest.param('runner = "command"\ncommand = ["no-such-program"]\n', ["no-such-program"], marks=RUNNING),
        ('runner = "command"\ncomand = ["sh"]\n', ["comand", "command"]),
    ],
)
def test_a_broken_configuration_leaves_everything_as_it_was(coder: TestHive, toml: str, words: list[str]) -> None:
    before, log, main = as_listed(coder), meta_log(coder), coder.git("applied/coder", "rev-parse", "main")
    instance = coder.instance("coder")
    number = coder.request("coder", toml)
    failed = coder.run("approve", str(number), code=1)
    for word in words:
        assert word in failed.stderr
        assert word in coder.git("applied/coder", "show", f"failed/{number}")
    assert tags(coder) == {"proposal/2", "approved/2", "building/2", "failed/2"}
    assert (as_listed(coder), meta_log(coder)) == (before, log)
    assert coder.git("applied/coder", "rev-parse", "main") == main
    assert coder.instance("coder") == instance, "the old program was restarted"
    row = coder.json("show", str(number))["approval"]
    assert row["status"] == "failed"
    assert words[-1] in row["note"]


def test_a_denial_keeps_the_commit_with_the_note(coder: TestHive) -> None:
    number = coder.request("coder", SAY.format("wide"))
    assert coder.json("deny", str(number), "--note", "too broad")["status"] == "denied"
    shown = coder.git("applied/coder", "show", "denied/2")
    assert "too broad" in shown
    assert "wide" in shown
    assert coder.git("applied/coder", "cat-file", "-t", "denied/2") == "tag"


def test_a_denied_spawn_leaves_nothing(hive: TestHive) -> None:
    hive.run("request-spawn", "coder")
    hive.run("deny", "1")
    assert hive.json("list") == []
    assert not (hive.home / "applied" / "coder").exists()


@pytest.mark.parametrize("second", [["approve"], ["deny"], ["cancel"]])
@pytest.mark.parametrize("first", [["approve"], ["deny"], ["cancel"]])
def test_who_decides_second_is_told_what_it_already_is(hive: TestHive, first: list[str], second: list[str]) -> None:
    hive.run("request-spawn", "coder")
    hive.run(*first, "1")
    status = hive.json("approvals", "--all")[0]["status"]
    assert f"already {status}" in hive.run(*second, "1", code=1).stderr


def test_two_shells_that_approve_at_once_do_it_once(coder: TestHive) -> None:
    number = str(coder.request("coder", SAY.format("once")))
    shells = [coder.start("approve", number) for _ in range(2)]
    outputs = [shell.communicate() for shell in shells]
    assert sorted(shell.returncode for shell in shells) == [0, 1]
    assert any("already" in err for _, err in outputs)
    assert sum("deploy coder" in line for line in meta_log(coder)) == 1


def test_the_sha_that_was_shown_must_be_the_one_that_was_fetched(coder: TestHive) -> None:
    number = str(coder.request("coder", SAY.format("new")))
    assert "nothing was approved" in coder.run("approve", number, "--sha", "f" * 40, code=1).stderr
    assert coder.json("approvals")[0]["status"] == "pending"


def test_a_failed_approval_says_what_the_agent_goes_on_with(coder: TestHive) -> None:
    main = coder.git("applied/coder", "rev-parse", "main")
    number = coder.request("coder", 'runner = "command"\ncomand = ["sh"]\n')
    told = coder.run("approve", str(number), code=1).stderr
    assert f"Request {number}: failed. coder stays at {main[:12]}." in told


def test_going_back_is_told_to_be_a_change_too(coder: TestHive) -> None:
    first = coder.git("applied/coder", "rev-parse", "main")
    coder.run("approve", str(coder.request("coder", SAY.format("new"))))
    told = coder.run("request-commit", "coder", first, code=1).stderr
    assert "is older than what coder is deployed with" in told
    assert f"git restore -SWs {first[:12]} ." in told
    coder.git("agents/coder/config", "checkout", first[:12], "--", ".")
    coder.git("agents/coder/config", "commit", "-qm", "go back")
    sha = coder.git("agents/coder/config", "rev-parse", "HEAD")
    coder.run("approve", str(coder.json("request-commit", "coder", sha)["id"]))
    assert coder.git("applied/coder", "diff", first, "main") == ""


def test_a_request_says_that_it_is_stale_that_it_changes_nothing_and_what_of_it_was_denied(coder: TestHive) -> None:
    denied = coder.request("coder", SAY.format("wide"))
    coder.run("deny", str(denied))
    shown = coder.json("show", str(denied))
    assert not any("was denied" in sentence for sentence in shown["beyond_text"])
    later = coder.request("coder", SAY.format("wider"))
    told = coder.run("show", str(later)).stdout
    assert f"{shown['approval']['fetched_sha'][:12]} was denied as request {denied}." in told
    again = coder.json("request-commit", "coder", shown["approval"]["fetched_sha"])["id"]
    coder.run("deny", str(again))
    [said] = [said for said in coder.json("show", str(later))["beyond_text"] if "was denied" in said]
    assert said.endswith(f"was denied as request {again}, and 1 time before.")
    coder.git("agents/coder/config", "commit", "-q", "--allow-empty", "-m", "nothing")
    empty = coder.git("agents/coder/config", "rev-parse", "HEAD").strip()
    coder.run("approve", str(later))
    number = coder.json("request-commit", "coder", empty)["id"]
    assert "! No file changes." in coder.run("show", str(number)).stdout
    coder.git("agents/coder/config", "reset", "-q", "--hard", "HEAD~1")
    coder.run("approve", str(coder.request("coder", SAY.format("other"))))
    assert "! Stale: coder has moved to" in coder.run("show", str(number)).stdout


def test_a_request_for_an_agent_that_was_destroyed_says_so_whatever_the_asker_says(coder: TestHive) -> None:
    coder.run("destroy", "coder", "--yes")
    number = coder.json("request-spawn", "coder", "--description", "brand new")["id"]
    assert coder.json("approvals")[0]["description"] == "revive: brand new"
    assert "! Not a new agent: coder was destroyed, and comes back" in coder.run("show", str(number)).stdout
    fresh = coder.json("request-spawn", "fresh")["id"]
    assert "new agent" not in coder.run("show", str(fresh)).stdout


def test_a_request_for_an_agent_shows_what_will_be_made(hive: TestHive) -> None:
    fresh = hive.asked("show", id=hive.json("request-spawn", "fresh")["id"])
    assert "+++ b/agent.toml" in fresh["diff"]
    assert any(one["topic"] == "runner" for one in fresh["consequences"])
    hive.configure("own", PLAIN)
    number = hive.json("request-spawn", "own")["id"]
    own = hive.asked("show", id=number)
    assert own["diff"].endswith(f"+{PLAIN.splitlines()[-1]}\n")
    assert "begins with the configuration that lies in" in own["beyond_text"][0]
    (hive.home / "agents/own/config/.git/HEAD").write_text("nowhere")
    assert "cannot be read" in hive.asked("show", id=number)["beyond_text"][0]


def test_whoever_is_interrupted_is_told_where_to_look(coder: TestHive) -> None:
    number = coder.request("coder", SAY.format("new"))
    with coder.inside().lock("coder", "a test"):
        approving = coder.start("approve", str(number))
        assert approving.stderr is not None
        assert "waiting for agent-coder" in approving.stderr.readline()
        asleep(approving)
        approving.send_signal(signal.SIGINT)
        assert "interrupted; `hive events`" in approving.communicate(timeout=PATIENCE)[1]
    assert approving.returncode == 130
    assert coder.json("approvals")[0]["status"] == "pending"


def test_a_proposal_that_main_has_left_behind_is_stale(coder: TestHive) -> None:
    first = str(coder.request("coder", SAY.format("one")))
    coder.git("agents/coder/config", "reset", "-q", "--hard", "HEAD~1")
    second = str(coder.request("coder", SAY.format("two")))
    coder.run("approve", first)
    assert "stale" in coder.run("approve", second, code=1).stderr
    assert coder.json("approvals")[0]["id"] == int(second)


def test_what_was_fetched_counts_whatever_happens_to_the_repository(coder: TestHive) -> None:
    number = str(coder.request("coder", SAY.format("pinned")))
    config = coder.home / "agents" / "coder" / "config"
    config.rename(config.with_name("gone"))
    coder.run("approve", number)
    assert says(coder, "pinned")


def test_the_same_request_while_one_is_pending_is_the_first(coder: TestHive) -> None:
    sha = coder.propose("coder", SAY.format("x"))
    assert coder.json("request-commit", "coder", sha)["id"] == coder.json("request-commit", "coder", sha[:8])["id"] == 2
    assert coder.json("request-spawn", "tester")["id"] == coder.json("request-spawn", "tester")["id"] == 3


def test_a_fetch_that_fails_leaves_a_failed_row_with_the_reason(coder: TestHive) -> None:
    told = coder.run("request-commit", "coder", "f" * 40, code=1).stderr
    row = coder.json("approvals", "--all")[-1]
    assert (row["status"], "fetched_sha" in row) == ("failed", False)
    assert row["note"].split("\n")[0] in told


def test_what_is_refused_uses_up_no_number(coder: TestHive) -> None:
    main = coder.git("applied/coder", "rev-parse", "main")
    coder.run("request-commit", "coder", main, code=1)
    coder.run("request-commit", "coder", "f" * 40, code=1)
    coder.run("request-commit", "coder", "f" * 40, code=1)
    assert [row["id"] for row in coder.json("approvals", "--all")] == [1, 2]
    assert coder.request("coder", SAY.format("new")) == 3


def managers(hive: TestHive) -> Path:
    return hive.home / "proposed/coder/config"


def test_what_is_wrong_with_the_operators_own_commit_is_told_and_not_what_the_managers_clone_lacks(
    coder: TestHive,
) -> None:
    (coder.home / "agents/coder/config/large").write_bytes(bytes(17 << 20))
    sha = coder.propose("coder", SAY.format("large"))
    told = coder.run("request-commit", "coder", sha, code=1).stderr
    assert "too large for a configuration" in told
    assert "no commit" not in told


def test_what_is_wrong_with_the_managers_clone_is_no_reason_to_refuse_the_operators(coder: TestHive) -> None:
    sha = coder.propose("coder", SAY.format("new"))
    (managers(coder) / ".git").rename(managers(coder) / "elsewhere")
    (managers(coder) / ".git").symlink_to("elsewhere")
    assert "There is no commit fffffff" in coder.run("request-commit", "coder", "f" * 7, code=1).stderr
    assert coder.json("request-commit", "coder", sha[:7])["fetched_sha"] == sha


def test_a_managers_clone_that_takes_long_to_read_does_not_use_up_the_operators_time(
    coder: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hive_core.git.untrusted.MOST_SECONDS", 5.0)
    monkeypatch.setattr("hive_core.git.untrusted.SECONDS_ASIDE", 0.1)
    copies = 40_000_000  # A small file: its instructions copy one byte each, which takes some 20 seconds.
    delta = varint(1) + varint(copies) + bytes([0x90, 1]) * copies
    hostile = managers(coder) / ".git/objects/pack" / f"pack-{'0' * 40}.pack"
    hostile.write_bytes(pack(entry(3, b"x"), entry(7, delta, bytes.fromhex(object_sha("blob", b"x")))))
    hostile.with_suffix(".idx").touch()
    sha = coder.propose("coder", SAY.format("new"))
    assert coder.json("request-commit", "coder", sha[:7])["fetched_sha"] == sha


def test_a_short_sha_that_means_another_commit_elsewhere_is_refused(coder: TestHive) -> None:
    sha = coder.propose("coder", SAY.format("new"))
    twin = sha[:39] + ("0" if sha[39] != "0" else "1")
    write_object(managers(coder), "blob", b"", twin)
    assert f"{sha[:7]} is ambiguous" in coder.run("request-commit", "coder", sha[:7], code=1).stderr
    assert len(coder.json("approvals", "--all")) == 1
    number = coder.json("request-commit", "coder", sha)["id"]
    assert number == 2
    shutil.rmtree(managers(coder) / ".git/objects" / sha[:2])
    # What waits already counts, too: it was asked for by other digits.
    other = coder.propose("coder", SAY.format("other"))
    write_object(coder.home / "agents/coder/config", "blob", b"", sha[:39] + ("2" if sha[39] != "2" else "3"))
    assert "is ambiguous" in coder.run("request-commit", "coder", sha[:7], code=1).stderr
    assert coder.json("request-commit", "coder", other[:7])["fetched_sha"] == other


def test_names_of_branches_are_not_taken(coder: TestHive) -> None:
    for sha in ("main", "HEAD", "proposal/1", "abc", "--upload-pack=x", "z" * 40):
        coder.run("request-commit", "coder", "--", sha, code=2)
        assert len(coder.json("approvals", "--all")) == 1, sha


NAMES = ["..", "a/b", "-x", "A", "x" * 64, "a\nb", "", "self", "system", "*"]
TAKE_A_NAME = [
    ["request-spawn"], ["spawn"], ["start"], ["stop"], ["kill"], ["restart"], ["rebuild"], ["update"], ["revive"],
    ["journal"], ["pause"], ["resume"], ["destroy", "--yes"], ["purge", "--yes"],
]  # fmt: skip


@pytest.mark.parametrize("command", TAKE_A_NAME, ids=" ".join)
def test_bad_names_are_refused_with_a_sentence_everywhere_and_nothing_is_created(
    hive: TestHive, command: list[str]
) -> None:
    for name in NAMES:
        told = hive.run(*command, "--", name, code=2).stderr
        assert "Traceback" not in told
        assert told.strip().splitlines()[0].endswith(".")
    assert not hive.home.exists()


@RUNNING
def test_a_hostile_repository_runs_nothing_and_leaks_nothing(coder: TestHive, tmp_path: Path) -> None:
    marker, secret = tmp_path / "ran", tmp_path / "secret"
    secret.write_text("TOP SECRET")
    config = coder.home / "agents" / "coder" / "config"
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch {marker}\n")
    evil.chmod(evil.stat().st_mode | stat.S_IXUSR)
    (config / ".gitattributes").write_text("* filter=evil\n")
    (config / "link").symlink_to(secret)
    sha = coder.propose("coder", SAY.format("evil"))
    for hook in ("pre-commit", "post-checkout", "reference-transaction", "post-merge", "pre-receive", "update"):
        (config / ".git" / "hooks").mkdir(exist_ok=True)
        (config / ".git" / "hooks" / hook).symlink_to(evil)
    for key in (
        "core.fsmonitor",
        "filter.evil.smudge",
        "filter.evil.clean",
        "uploadpack.packObjectsHook",
        "core.pager",
    ):
        coder.git("agents/coder/config", "config", key, str(evil))
    number = str(coder.json("request-commit", "coder", sha)["id"])
    assert "link" in coder.run("show", number).stdout
    told = coder.run("approve", number, code=1).stderr
    assert "link" in told
    assert not marker.exists()
    for folder, _, files in os.walk(coder.home):
        for file in files:
            path = Path(folder) / file
            if path.is_file() and not path.is_symlink():
                assert b"TOP SECRET" not in path.read_bytes(), path


def test_escapes_in_a_description_do_not_reach_the_terminal(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        from hive_fleet.requests import queue

        queue.add(
            hive.inside(), db, agent="coder", kind="spawn", commit_ref="", description="\x1b[2Jpwned\u202e\x9b31m"
        )
    for command in (["approvals"], ["show", "1"], ["events"], ["deny", "1"], ["approvals", "--all"]):
        out = hive.run(*command).stdout
        assert not {"\x1b", "\x9b", "\u202e"} & set(out)
    assert "\\x1b[2Jpwned\\u{202e}" in hive.run("approvals", "--all").stdout


def test_escapes_in_an_argument_are_refused(hive: TestHive) -> None:
    assert "control character" in hive.run("request-spawn", "coder", "--description", "\x1b[2J", code=2).stderr


def test_twenty_commands_of_all_kinds_at_once(coder: TestHive) -> None:
    commands = [
        ["list"], ["approvals"], ["events"], ["inputs"], ["request-spawn", "a"], ["request-spawn", "b"], ["spawn", "c"],
        ["spawn", "d"], ["restart", "coder"], ["stop", "coder"], ["start", "coder"], ["send", "coder", "hi"],
        ["recent"], ["questions"], ["tombstones"], ["watch", "--once"], ["rebuild", "coder"], ["journal", "coder"],
        ["show", "1"], ["doctor"],
    ]  # fmt: skip
    processes = [(command, coder.start(*command)) for command in commands]
    for command, process in processes:
        _, err = process.communicate()
        assert is_code(process.returncode, 0, command), (command, err)
    assert {row["name"] for row in coder.json("list")} == {"coder", "c", "d"}


def test_a_revived_agent_keeps_its_configuration_and_its_state(coder: TestHive) -> None:
    coder.run("approve", str(coder.request("coder", SAY.format("kept"))))
    note = coder.home / "agents" / "coder" / "state" / "note"
    note.write_text("remember")
    coder.run("destroy", "coder", "--yes")
    assert [row["name"] for row in coder.json("tombstones")] == ["coder"]
    number = str(coder.json("revive", "coder")["id"])
    coder.run("approve", number)
    assert says(coder, "kept")
    assert note.read_text() == "remember"


def test_a_request_shows_the_message_and_the_author_of_its_commit_safely(coder: TestHive) -> None:
    coder.propose("coder", SAY.format("evil"))
    config = "agents/coder/config"
    body = "Say evil\n\nrequest 1 (spawn of x): approved \x1b[2J\u202e"
    coder.git(config, "commit", "-q", "--amend", "--author", "Eve \u202e <eve\x1b[1m@x>", "-m", body)
    number = coder.json("request-commit", "coder", coder.git(config, "rev-parse", "HEAD"))["id"]
    shown = coder.run("show", str(number)).stdout
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "by Eve \\u{202e} <eve\\x1b[1m@x>\n  | Say evil\n  | \n  | request 1 (spawn of x)" in shown
    assert coder.json("show", str(number))["commits"][0]["message"] == body


def test_a_request_of_several_commits_lists_them(coder: TestHive) -> None:
    for word in ("one", "two"):
        sha = coder.propose("coder", SAY.format(word))
    shown = coder.json("show", str(coder.json("request-commit", "coder", sha)["id"]))
    assert [commit["message"] for commit in shown["commits"]] == ["change", "change"]
    assert shown["commits"][0]["sha"] == sha
    assert coder.run("show", str(shown["approval"]["id"])).stdout.count("by t: change") == 2


def test_show_says_what_a_request_lets_its_agent_do(hive: TestHive) -> None:
    hive.spawn("coder")
    number = str(hive.request("coder", 'runner = "claude"\nsettle_seconds = 0.05\n[environment]\nTOKEN = "made-up"\n'))
    shown = hive.json("show", number)
    assert [(one["topic"], one["weight"]) for one in shown["consequences"]] == [
        ("runner", "widens"),
        ("environment", "widens"),
    ]
    text = hive.run("show", number).stdout
    before_the_diff = text.partition("\ndiff ")[0]
    assert "  + coder is given TOKEN, an environment variable\n" in before_the_diff
    assert "made-up" not in before_the_diff
    hive.run("approve", number)
    assert hive.json("show", number)["consequences"] == shown["consequences"]


def test_show_names_what_in_an_agents_nix_deserves_a_look(hive: TestHive) -> None:
    hive.spawn("coder")
    files = {"agent.nix": '{ lib, ... }:\n{ networking.hostName = lib.mkForce (builtins.getEnv "X"); }\n'}
    number = str(hive.request("coder", PLAIN, files=files))
    text = hive.run("show", number).stdout
    assert "  + coder overrides what others say of its system: mkForce (agent.nix, line 2)\n" in text
    topics = [(one["topic"], one["weight"]) for one in hive.json("show", number)["consequences"]]
    assert topics == [("agent.nix", "widens"), ("agent.nix", "widens")]


def test_show_says_that_a_configuration_cannot_be_built(hive: TestHive) -> None:
    hive.spawn("coder")
    number = str(hive.request("coder", 'runner = "nonsense"\n'))
    assert 'coder cannot be built with it: agent.toml, line 1: runner is "nonsense"' in hive.run("show", number).stdout
