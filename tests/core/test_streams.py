"""The standard streams: closed, full, too narrow for a character, and read by nobody any more."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually, line_of

HIVE = [sys.executable, str(CHECKOUT / "hive")]
NARROW = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}


def redirected(how: str) -> list[str]:
    """The beginning of an argv whose streams a shell has redirected."""
    return ["sh", "-c", f'exec "$0" "$@" {how}', *HIVE]


# --- closed


CODES = {"list": 0, "nonsense": 2, "start nobody": 1, "purge coder": 1}
# One asks for a yes, one has a result, and two have an error, each by other means.
USING = {"<&-": ["list", "purge coder"], ">&-": ["list", "purge coder"], "2>&-": ["nonsense", "start nobody"]}


@pytest.mark.parametrize("closed", [*USING, "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_changes_no_exit_code(hive: TestHive, closed: str) -> None:
    (hive.home / "agents" / "coder").mkdir(parents=True)
    for command in USING.get(closed, CODES):
        done = hive.run(*command.split(), program=redirected(closed), code=CODES[command])
        assert done.stdout == "", "chatter does not go where results go"


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


def test_a_result_that_cannot_be_written_is_told_and_is_1(hive: TestHive) -> None:
    hive.run("send", "operator", "hello")
    for command in ("list --json", "recent", "events", "--help", "--version", "events --json"):
        done = hive.run(*command.split(), program=redirected(">/dev/full"), code=1)
        assert done.stderr == "hive: Standard output cannot be written to: No space left on device.\n", command


def test_a_standard_error_that_is_full_changes_no_exit_code(hive: TestHive) -> None:
    for command in ("list", "nonsense", "start nobody"):
        hive.run(*command.split(), program=redirected("2>/dev/full"), code=CODES[command])
    # Nor does it when what has happened cannot be told.
    hive.run("list", program=redirected(">/dev/full 2>/dev/full"), code=0)


# --- who watches goes on


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


def test_json_means_the_same_whatever_the_terminal_can_show(hive: TestHive) -> None:
    hive.run("send", "operator", "grüße 🐝 \u202e")
    wide = hive.run("recent", "--json").stdout
    hive.extra |= NARROW
    narrow = hive.run("recent", "--json").stdout
    assert json.loads(narrow.encode("ascii")) == json.loads(wide)
    assert "🐝" in wide


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
    gone = tmp_path / "gone"
    program = ["sh", "-c", f'mkdir {gone} && cd {gone} && rmdir {gone} && exec "$0" "$@"', *HIVE]
    for command in ("list", "doctor", "inputs", "spawn coder", "journal coder"):
        assert "bug" not in hive.run(*command.split(), program=program).stderr


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
