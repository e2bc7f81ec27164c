"""The record of turns."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hive_agent.errors import AgentError
from hive_agent.turns.record import Record


def test_events_have_an_order_that_trimming_does_not_repeat(tmp_path: Path) -> None:
    with closing(Record(tmp_path)) as record:
        turn = record.begin("1@1", "operator", "hello", redelivered=False, model=None)
        record.add(turn, "text", {"text": "a"})
        with closing(sqlite3.connect(record.path)) as host, host:
            host.execute("delete from turn_events")
        record.add(turn, "text", {"text": "b"})
        with closing(sqlite3.connect(record.path)) as host:
            assert host.execute("select seq, turn, data from turn_events").fetchall() == [(2, turn, '{"text": "b"}')]


def test_failures_count_across_harnesses_and_only_those_of_the_message(tmp_path: Path) -> None:
    for outcome in ("failed", None, "rate_limited", "stopped", "done"):
        with closing(Record(tmp_path)) as record:
            turn = record.begin("1@1", "operator", "hello", redelivered=False, model=None)
            if outcome:
                record.end(turn, outcome, f"it {outcome}")
    with closing(Record(tmp_path)) as record:
        record.bury()
        assert record.failures("1@1") == ["it failed", "the harness died"]
        assert record.failures("1@2") == []


def test_a_file_that_is_no_database_is_kept_aside(tmp_path: Path) -> None:
    (tmp_path / "events.sqlite").write_text("rubbish " * 1000)
    with closing(Record(tmp_path)) as record:
        record.begin("1@1", "operator", "hello", redelivered=False, model=None)
    assert (tmp_path / "events.sqlite.broken").read_text().startswith("rubbish")


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(AgentError, match="cannot be opened"):
        Record(tmp_path / "absent")


def test_what_is_too_large_or_no_text_is_stored_all_the_same(tmp_path: Path) -> None:
    with closing(Record(tmp_path)) as record:
        turn = record.begin("1@1", "operator", "\ud800", redelivered=False, model=None)
        record.add(turn, "text", {"text": "x" * 1_000_000})
        record.end(turn, "done", "\udfff")
        with closing(sqlite3.connect(record.path)) as host:
            ((data,),) = host.execute("select data from turn_events").fetchall()
    assert '"cut": true' in data
    assert len(data) < 70_000
