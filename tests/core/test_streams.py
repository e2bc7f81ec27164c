"""The standard streams: closed, full, too narrow for a character, and read by nobody any more."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.hives import CHECKOUT, PATIENCE, PLAIN, TestHive, eventually, is_code, line_of

HIVE = [sys.executable, str(CHECKOUT / "hive")]
FULL = "/dev/full"
NARROW = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def redirected(how: str) -> list[str]:
    """The beginning of an argv whose streams a shell has redirected."""
    return ["sh", "-c", f'exec "$0" "$@" {how}', *HIVE]


def forked(hive: TestHive, commands: Mapping[str, int], **how: Any) -> list[subprocess.CompletedProcess[str]]:
    """Run commands as a shell would start them, but for their start, which a test tries with one of them."""
    found = [hive.forked(*command.split(), **how) for command in commands]
    for done, (command, code) in zip(found, commands.items(), strict=True):
        assert is_code(done.returncode, code, command.split()), (command, done)
    return found


# --- closed


@pytest.mark.remembered
@pytest.mark.parametrize("closed", [{0: "<&-"}, {1: ">&-"}, {2: "2>&-"}, {0: "<&-", 1: ">&-", 2: "2>&-"}])
def test_a_stream_that_is_closed_changes_no_exit_code(hive: TestHive, closed: dict[int, str]) -> None:
    (hive.home / "agents" / "coder").mkdir(parents=True)
    commands = {"list": 0, "nonsense": 2, "start nobody": 1, "purge coder": 1}
    done = forked(hive, commands, redirected=dict.fromkeys(closed))
    done.append(hive.run("purge", "coder", program=redirected(" ".join(closed.values())), code=1))
    assert all(each.stdout == "" for each in done), "chatter does not go where results go"


def test_what_hive_opens_never_takes_the_place_of_a_closed_stream(hive: TestHive) -> None:
    hive.configure(
        "coder", 'runner = "command"\ncommand = ["sh", "-c", "echo one; echo two >&2; exec sleep infinity"]\n'
    )
    hive.run("spawn", "coder", program=redirected("<&- >&- 2>&-"))
    assert eventually(lambda: hive.run("journal", "coder").stdout.count("\n") == 2)
    with hive.inside().store.read() as db:
        assert [row[0] for row in db.execute("pragma integrity_check")] == ["ok"]
    assert hive.agent("coder")["running"]


# --- full


@pytest.mark.remembered
def test_a_result_that_cannot_be_written_is_told_and_is_1(hive: TestHive) -> None:
    hive.run("send", "operator", "hello")
    commands = ("list --json", "recent", "events", "--help", "--version", "events --json")
    done = forked(hive, dict.fromkeys(commands, 1), redirected={1: FULL})
    done.append(hive.run("recent", program=redirected(f">{FULL}"), code=1))
    for each in done:
        assert each.stderr == "hive: Standard output cannot be written to: No space left on device.\n", each.args


@pytest.mark.remembered
def test_a_standard_error_that_is_full_changes_no_exit_code(hive: TestHive) -> None:
    commands = {"list": 0, "nonsense": 2, "start nobody": 1}
    forked(hive, commands, redirected={2: FULL})
    forked(hive, commands, redirected={1: FULL, 2: FULL})
    hive.run("list", program=redirected(f">{FULL} 2>{FULL}"))
    hive.run("start", "nobody", program=redirected(f"2>{FULL}"), code=1)


# --- who watches goes on


@pytest.mark.remembered
@pytest.mark.parametrize(
    ("command", "lost"), [("up", ">/dev/full"), ("up", "<&- >&- 2>&-"), ("watch", ">/dev/full 2>/dev/full")]
)
def test_who_watches_goes_on_whatever_becomes_of_what_it_prints(hive: TestHive, command: str, lost: str) -> None:
    process = hive.start(command, program=redirected(lost))
    eventually(lambda: hive.inside().running("watch"))
    for verb in ("spawn", "stop", "start"):
        hive.run(verb, "coder")
    process.terminate()
    # Not with the code of something that could not be written.
    assert process.wait(PATIENCE) == 0


@pytest.mark.remembered
def test_who_watches_goes_on_when_nobody_reads_it_any_more(hive: TestHive) -> None:
    process = hive.start("up")
    eventually(lambda: hive.inside().running("watch"))
    hive.run("send", "operator", "hello")
    line_of(process)
    assert process.stdout is not None
    process.stdout.close()
    hive.run("send", "operator", "anybody there?")
    assert process.stderr is not None
    while "(Broken pipe); hive goes on" not in (line := process.stderr.readline()):
        assert line
    process.terminate()
    assert process.wait(PATIENCE) == 0


# --- too narrow


@pytest.mark.remembered
def test_a_terminal_that_lacks_a_character_gets_an_escape(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("send", "coder", "grüße 🐝")
    hive.extra |= NARROW
    commands = ("events", "recent", "show 1", "journal coder", "list", "doctor", "--help")
    shown = {command: hive.run(*command.split()).stdout for command in commands}
    for text in shown.values():
        text.encode("ascii")
    assert "\\u2026" in shown["events"]
    assert "gr\\xfc\\xdfe" in shown["recent"]


@pytest.mark.remembered
def test_json_means_the_same_whatever_the_terminal_can_show(hive: TestHive) -> None:
    hive.run("send", "operator", "grüße 🐝 \u202e")
    wide = hive.run("recent", "--json").stdout
    hive.extra |= NARROW
    narrow = hive.run("recent", "--json").stdout
    assert json.loads(narrow.encode("ascii")) == json.loads(wide)
    assert "🐝" in wide


@pytest.mark.remembered
def test_who_watches_goes_on_at_a_terminal_that_is_not_utf_8(hive: TestHive) -> None:
    hive.extra["PYTHONIOENCODING"] = "latin-1"
    process = hive.start("up")
    for stream in (process.stdout, process.stderr):
        assert isinstance(stream, io.TextIOWrapper)
        stream.reconfigure(encoding="latin-1")
    while "made at" not in (line := line_of(process)):
        assert line
    assert process.poll() is None


# --- what else whoever starts hive may lack


@pytest.mark.parametrize("path", ["env -u PATH", "env PATH="])
def test_without_a_path_the_systems_is_taken(hive: TestHive, path: str) -> None:
    program = ["/bin/sh", "-c", f'exec /usr/bin/{path} "$0" "$@"', *HIVE]
    hive.configure("coder", 'runner = "command"\ncommand = ["sleep", "infinity"]\n')
    hive.run("spawn", "coder", program=program)
    assert hive.agent("coder")["running"]


def test_a_working_folder_that_was_removed_stops_nothing(hive: TestHive, tmp_path: Path) -> None:
    hive.configure("coder", PLAIN)
    gone = tmp_path / "gone"
    gone.mkdir()
    folder = os.open(gone, os.O_RDONLY)
    gone.rmdir()
    commands = ("list", "doctor", "inputs", "spawn coder", "journal coder")
    done = forked(hive, dict.fromkeys(commands, 0), cwd=f"/proc/{os.getpid()}/fd/{folder}")
    os.close(folder)
    program = ["sh", "-c", f'mkdir {gone} && cd {gone} && rmdir {gone} && exec "$0" "$@"', *HIVE]
    done.append(hive.run("restart", "coder", program=program))
    assert not [each for each in done if "bug" in each.stderr or "could not be looked at" in each.stdout]


@pytest.mark.parametrize("variable", ["HIVE_HOME", "HIVE_RUN"])
def test_a_folder_that_is_not_utf_8_is_refused_in_words(hive: TestHive, tmp_path: Path, variable: str) -> None:
    hive.extra[variable] = f"{tmp_path}/h\udcff"
    for command in (["list"], ["spawn", "coder"], ["doctor"]):
        done = hive.start(*command)
        _, told = done.communicate(timeout=PATIENCE)
        assert done.returncode == 2, told
        assert f"hive: {variable} is '{tmp_path}/h\\udcff': that is not UTF-8" in told
    hive.extra.clear()
    assert list(tmp_path.glob("h*")) == [tmp_path / "hive"]


@pytest.mark.remembered
def test_an_argument_that_is_not_utf_8_is_refused_in_words(hive: TestHive) -> None:
    for command in (["\udcff"], ["send", "coder", "\udcff"], ["start", "\udcff"], ["list", "--\udcff"]):
        assert hive.run(*command, code=2).stderr


def test_a_hive_whose_path_is_longer_than_an_address_is_served(hive: TestHive) -> None:
    long = hive.root / ("a" * 120)
    hive.extra |= {"HIVE_HOME": str(long / "home"), "HIVE_RUN": str(long / "run")}
    hive.start("up")
    eventually((long / "run" / "host.sock").is_socket)
    # Made, and not only started: to be killed before would be the end of its making.
    eventually(lambda: [row for row in hive.json("list") if row["running"] and "operation" not in row])
    hive.run("kill", "manager")
