"""Tables on a terminal: the same words as in a pipe, coloured; folded where they do not fit."""

from __future__ import annotations

import os
import pty
import re

import pytest

from hive_core.events import emit
from hive_faces.shell.tables import cells_of
from tests import forking
from tests.hives import TestHive, is_code


def on_a_terminal(hive: TestHive, *arguments: str, **variables: str) -> str:
    """What a command shows on a terminal."""
    ours, theirs = pty.openpty()
    environment = {**hive.environment, "TERM": "xterm", **variables}
    process = forking.server().start(arguments, environment, terminal=theirs)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 65536):
            shown += piece
    except OSError:
        pass  # How Linux tells the end of a terminal (EIO).
    os.close(ours)
    process.communicate()
    assert is_code(process.wait(), 0, arguments)
    return shown.decode().replace("\r\n", "\n")


def bare(shown: str) -> list[str]:
    """The lines of a text without its colours."""
    return [line.rstrip() for line in re.sub(r"\x1b\[[0-9;]*m", "", shown).splitlines()]


def test_a_table_on_a_terminal_has_the_words_of_the_one_in_a_pipe_and_colours(hive: TestHive) -> None:
    hive.run("request-spawn", "coder", "--description", "writes code")
    shown = on_a_terminal(hive, "approvals", COLUMNS="200")
    assert "\x1b[33mpending\x1b[0m" in shown
    # The age of the request may have moved on by a second.
    ages = re.compile(r"\d+ s")
    piped = hive.run("approvals").stdout
    assert ages.sub("", "\n".join(bare(shown))) == ages.sub("", piped.rstrip())


@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}])
@pytest.mark.parametrize("width", [30, 60, 80, 140])
def test_a_table_that_does_not_fit_is_shortened_and_has_one_line_for_each_row(
    hive: TestHive, width: int, variables: dict[str, str]
) -> None:
    for name in ("w1", "w2"):
        hive.run("request-spawn", name, "--description", "日本語 one two three four five six seven eight nine ten " * 3)
    lines = bare(on_a_terminal(hive, "approvals", COLUMNS=str(width), **variables))
    assert len(lines) == 3
    assert max(map(cells_of, lines)) <= width
    assert all("w1" in line or "w2" in line for line in lines[1:])
    assert lines[1].endswith("…") == (width > 30)


def test_a_table_in_a_pipe_is_whole_however_narrow_the_terminal_is(hive: TestHive) -> None:
    description = "one two three four five six seven eight nine ten " * 5
    hive.run("request-spawn", "coder", "--description", description.strip())
    hive.extra["COLUMNS"] = "40"
    assert description.strip() in hive.run("approvals").stdout


def test_what_the_doctor_says_is_folded_and_loses_nothing(hive: TestHive) -> None:
    shown = bare(on_a_terminal(hive, "doctor", COLUMNS="60"))
    assert max(map(len, shown)) <= 60
    words = {word for line in hive.run("doctor").stdout.splitlines() for word in line.split() if word.isalpha()}
    assert words <= {word for line in shown for word in line.split()}


def test_agents_are_listed_by_their_numbers(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        for name in ("w10", "w1", "w2", "manager"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    assert [line.split()[0] for line in hive.run("list").stdout.splitlines()[1:]] == ["manager", "w1", "w2", "w10"]


def test_a_line_of_an_event_is_cut_to_the_width_of_the_terminal(hive: TestHive) -> None:
    hive.run("send", "operator", "a\nfew words " * 20)
    (line,) = bare(on_a_terminal(hive, "events", COLUMNS="60"))
    assert (len(line), line[-1]) == (60, "…")


def test_what_somebody_wrote_is_set_off_in_every_line_of_a_terminal(hive: TestHive) -> None:
    hive.run("send", "operator", "2: operator to everybody " * 20)
    head, *body = bare(on_a_terminal(hive, "recent", COLUMNS="60"))
    assert head.startswith("1: operator to operator, ")
    assert all(line.startswith("  | ") for line in body)
    assert max(map(len, body)) <= 60


def test_a_terminal_that_wants_no_colours_gets_none(hive: TestHive) -> None:
    hive.run("request-spawn", "coder")
    assert "\x1b" not in on_a_terminal(hive, "approvals", NO_COLOR="1")
    assert "\x1b" not in on_a_terminal(hive, "approvals", TERM="dumb")


def test_a_line_of_the_feed_is_coloured_by_how_much_it_matters(hive: TestHive) -> None:
    hive.run("send", "operator", "a word to nobody but oneself")
    hive.run("request-spawn", "coder")
    with hive.inside().store.write() as db:
        emit(db, "transient_set", name="coder", transient_kind="starting", since_unix=0)
        emit(db, "container_crash", agent="coder", cause="SIGKILL", reason="signal", lately=1)
    said, wanted, routine, alarm = on_a_terminal(hive, "events", COLUMNS="200").splitlines()
    assert "\x1b" not in said
    assert wanted.startswith("\x1b[33m")
    assert routine.startswith("\x1b[2m")
    assert alarm.startswith("\x1b[1;31m")
