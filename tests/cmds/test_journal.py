"""`hive journal`: whose lines, from when until when, which of them, and as they come."""

from __future__ import annotations

import json
from contextlib import closing

import pytest

from hive_core.containers.memory import MemoryHost
from tests.hives import TestHive, interrupt, line_of

pytestmark = pytest.mark.remembered
STAMPS = ("2026-01-01T10:00:00.000Z", "2026-01-01T11:00:00.000Z", "2026-01-02T10:00:00.000Z")


@pytest.fixture
def written(hive: TestHive) -> TestHive:
    """Two agents that have written on two days."""
    for name in ("coder", "tester"):
        hive.spawn(name)
        journal = hive.home / "containers" / name / "journal"
        journal.write_text("".join(f"{stamp} {name} wrote {number}\n" for number, stamp in enumerate(STAMPS)))
    return hive


def told(hive: TestHive, *arguments: str) -> list[str]:
    return [line.partition("Z ")[2] for line in hive.run("journal", *arguments).stdout.splitlines()]


def test_what_was_written_when(written: TestHive) -> None:
    assert told(written, "coder", "--since", "2026-01-01T11:00:00Z") == ["coder wrote 1", "coder wrote 2"]
    assert told(written, "coder", "--until", "2026-01-01T11:00:00Z") == ["coder wrote 0", "coder wrote 1"]
    between = ("--since", "2026-01-01T10:30:00+00:00", "--until", "2026-01-01T23:00:00Z")
    assert told(written, "coder", *between) == ["coder wrote 1"]
    assert told(written, "coder", "--since", "1h") == []
    assert told(written, "coder", "--lines", "1") == ["coder wrote 2"]


def test_lines_with_a_text_in_them_and_capitals_count_where_they_are_given(written: TestHive) -> None:
    assert told(written, "coder", "--grep", "wrote 1") == ["coder wrote 1"]
    assert told(written, "coder", "--grep", "coder wrote") == [f"coder wrote {number}" for number in range(3)]
    assert told(written, "coder", "--grep", "Coder") == []
    # The newest of those that are wanted, however far back they are.
    assert told(written, "coder", "--grep", "wrote 0", "--lines", "1") == ["coder wrote 0"]


def test_several_agents_lines_are_in_the_order_of_their_time_each_behind_its_name(written: TestHive) -> None:
    shown = written.run("journal", "tester", "coder", "--lines", "4").stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["tester", "coder", "tester", "coder"]
    assert shown[0].startswith("tester  2026-01-01T11")
    rows = written.json("journal", "coder", "tester", "--since", "2026-01-02T00:00:00Z")
    assert rows == [{"agent": name, "line": f"{STAMPS[2]} {name} wrote 2"} for name in ("coder", "tester")]
    assert written.json("journal", "coder", "--lines", "1") == [f"{STAMPS[2]} coder wrote 2"]
    assert "There is no agent 'nobody'" in written.run("journal", "coder", "nobody", code=1).stderr


def test_another_word_for_it_leads_there_and_the_help_says_so_once(written: TestHive) -> None:
    assert told(written, "coder") == [
        line.partition("Z ")[2] for line in written.run("logs", "coder").stdout.splitlines()
    ]
    shown = " ".join(written.run("--help").stdout.split())
    assert shown.count("hive logs") == 1
    assert "│ logs" not in shown


def test_several_are_followed_at_once(written: TestHive) -> None:
    follow = written.start("journal", "coder", "tester", "--follow", "--lines", "1", "--json")
    first = [json.loads(line_of(follow)) for _ in range(2)]
    assert sorted(row["agent"] for row in first) == ["coder", "tester"]
    host = MemoryHost(written.inside().settings)
    for name in ("tester", "coder", "tester"):
        host.write(name, "and more")
        row = json.loads(line_of(follow))
        assert (row["agent"], row["line"].partition("Z ")[2]) == (name, "and more")
    assert interrupt(follow) == 130


def test_what_is_followed_is_only_what_is_asked_for(written: TestHive) -> None:
    follow = written.start("journal", "coder", "--follow", "--grep", "wanted", "--since", "2026-01-01")
    host = MemoryHost(written.inside().settings)
    with closing(follow.stdout):  # type: ignore[type-var]
        for text in ("not this", "this is wanted", "nor this", "wanted, too"):
            host.write("coder", text)
        assert [line_of(follow).partition("Z ")[2] for _ in range(2)] == ["this is wanted\n", "wanted, too\n"]
        follow.kill()
        follow.wait()
    mixed_up = written.run("journal", "coder", "--since", "1h", "--until", "2h", code=2)
    assert "--since is later than --until" in mixed_up.stderr
    assert "give --follow or --until" in written.run("journal", "coder", "--follow", "--until", "1h", code=2).stderr


@pytest.mark.parametrize("given", ["soon", "2026-13-01", "25:99", "", "5 parsecs"])
def test_what_is_no_moment_is_refused_with_examples(written: TestHive, given: str) -> None:
    assert "yesterday" in written.run("journal", "coder", "--since", given, code=2).stderr
