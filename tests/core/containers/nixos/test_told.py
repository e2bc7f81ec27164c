"""What systemd's programs tell of containers, in whatever form they may: read by programs that stand in for them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.nixos import journal, units
from hive_core.containers.nixos.places import Places
from tests.properties import texts, thorough

Program = Callable[[str, str], None]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    """Puts a program on the PATH that says something, and writes down what it was asked."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")

    def make(name: str, said: str) -> None:
        (tmp_path / "said").write_text(said)
        path = tmp_path / "bin" / name
        path.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/asked\ncat {tmp_path}/said\n')
        path.chmod(0o755)

    return make


def entry(message: Any, at: float = 1.5) -> dict[str, Any]:
    return {"__CURSOR": "c", "__REALTIME_TIMESTAMP": str(int(at * 1e6)), "MESSAGE": message}


def test_each_entry_is_a_line_with_its_time_in_whatever_form_it_comes(program: Program, tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    messages = [
        "as it is",
        "two\nlines\r\nand more",
        [104, 105, 255],
        None,
        "",
        ["one", "two"],
        ["one", [104, 105], "three"],
        [],
        "a\u2028b\x85c",
    ]
    # As journalctl writes it: every character but those of control stands for itself.
    lines = [json.dumps(entry(message), ensure_ascii=False) for message in messages]
    lines.append(json.dumps({"__CURSOR": "c", "__REALTIME_TIMESTAMP": "1"}))
    program("journalctl", "".join(f"{line}\n" for line in lines))
    found = journal.read(tmp_path / "journal", 10)
    assert {line[:25] for line in found} == {"1970-01-01T00:00:01.500Z "}
    assert [line[25:] for line in found] == [
        "as it is", "two lines and more", "hi\N{REPLACEMENT CHARACTER}", "", "", "one two", "one hi three", "", "a b c",
    ]  # fmt: skip


_message = st.one_of(texts, st.none(), st.lists(st.integers(0, 255), max_size=6))


@thorough
@given(st.one_of(_message, st.lists(_message, max_size=3)), st.integers(0, 2**41))
def test_whatever_an_agent_has_written_is_one_line_that_begins_with_its_time(message: Any, moment: int) -> None:
    line = journal._line(entry(message, moment / 1000))
    assert len(line.splitlines()) == 1
    at = datetime.fromisoformat(line[:24])
    assert abs(at - datetime.fromtimestamp(moment / 1000, UTC)).total_seconds() < 0.002


def test_only_what_is_asked_for_is_asked_for(program: Program, tmp_path: Path) -> None:
    program("journalctl", "")
    folder = tmp_path / "journal"
    # Before a container was ever started there is none.
    assert journal.read(folder, 10) == []
    assert not (tmp_path / "asked").exists()
    folder.mkdir()
    assert journal.read(folder, 0) == []
    assert not (tmp_path / "asked").exists()
    journal.read(folder, 7, ["hive-agent.service"], since=5.25)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert {f"--directory={folder}", "--lines=7", "--since=@5.250000", "--output=json"} <= set(asked)
    assert asked[-1] == "_SYSTEMD_UNIT=hive-agent.service"
    journal.read(folder, 7)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert not [word for word in asked if word.startswith(("--since", "_SYSTEMD_UNIT"))]


def place(name: str) -> Places:
    return cast(Places, SimpleNamespace(unit=f"container@hive-{name}.service", name=name))


def test_units_are_told_by_their_names_whatever_is_said_of_others(program: Program, tmp_path: Path) -> None:
    program(
        "systemctl",
        "Id=container@hive-coder.service\nActiveState=active\nInvocationID=abc\nMainPID=1\n"
        "ExecMainStartTimestamp=Wed 2026-11-25 23:52:11.250000 UTC\n"
        "\n"
        "Id=container@other.service\nActiveState=active\nMainPID=7\n"
        "\n"
        "Id=container@hive-idle.service\nActiveState=inactive\nInvocationID=\nMainPID=0\nExecMainStartTimestamp=\n"
        "\n"
        "Id=container@hive-bare.service\n",
    )
    found = units.look([place("coder"), place("idle"), place("bare"), place("unknown")])
    at = datetime(2026, 11, 25, 23, 52, 11, 250_000, tzinfo=UTC).timestamp()
    assert found == {
        "coder": units.ContainerUnit(True, "abc", 1, at),
        "idle": units.ContainerUnit(False, "", 0, None),
        "bare": units.ContainerUnit(False, "", 0, None),
    }
    assert [found[name].running for name in ("coder", "idle")] == [True, False]
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[asked.index("--") + 1 :] == [
        f"container@hive-{name}.service" for name in ("coder", "idle", "bare", "unknown")
    ]


def test_nothing_is_asked_about_nobody(program: Program, tmp_path: Path) -> None:
    program("systemctl", "")
    assert units.look([]) == {}
    assert not (tmp_path / "asked").exists()


def test_one_whose_first_process_is_gone_runs_no_more_whatever_systemd_has_noticed() -> None:
    # No process has a number as high as that (proc(5), pid_max).
    assert not units.ContainerUnit(True, "abc", 2**22 + 1, 1.0).running


@pytest.mark.parametrize("text", ["", "n/a", "Wed 2026-11-25 UTC", "Wed 2026-13-45 25:00:00 UTC", "a b c d"])
def test_what_is_no_moment_is_none(text: str) -> None:
    assert units._moment(text) is None
