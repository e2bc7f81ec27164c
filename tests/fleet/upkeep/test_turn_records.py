"""An agent's record of its turns is trimmed as that agent, and whatever it has made of the file is its own affair."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_agent.turns import trimming
from hive_agent.turns.record import Record
from hive_core.errors import HiveError
from hive_fleet.upkeep import turn_records
from tests.hives import PLAIN, TestHive
from tests.properties import documents, texts, thorough

DAY = 86400.0


def record(state: Path, *days: float) -> Path:
    """A record of turns with one event each, so many days ago; the turns ended with it."""
    made = Record(state)
    now = time.time()
    for _ in days:
        turn = made.begin("1", "operator", "x", redelivered=False, model=None)
        made.add(turn, "text", {"text": "x" * 2000})
        made.end(turn, "done", "")
    made.close()
    with closing(sqlite3.connect(made.path)) as db, db:
        for number, each in enumerate(days, 1):
            db.execute("update turn_events set at = ? where seq = ?", (now - each * DAY, number))
            db.execute("update turns set started = ?, ended = ? where id = ?", (*[now - each * DAY] * 2, number))
    for path in state.glob("events.sqlite*"):
        os.chown(path, state.stat().st_uid, state.stat().st_uid)
    return made.path


def seqs(path: Path) -> list[int]:
    with closing(sqlite3.connect(path)) as db:
        return [seq for (seq,) in db.execute("select seq from turn_events order by seq")]


def state_of(hive: TestHive, name: str) -> Path:
    return hive.home / "agents" / name / "state"


def records(hive: TestHive, *arguments: str, code: int = 0) -> dict[str, Any]:
    """What a vacuum says of the agents' records, by agent."""
    rows = json.loads(hive.run("vacuum", "--json", *arguments, code=code).stdout)
    return {row["what"].removeprefix("record of "): row for row in rows if row["what"].startswith("record of ")}


@pytest.fixture
def one(hive: TestHive) -> TestHive:
    hive.spawn("coder")
    return hive


def test_old_events_go_then_all_but_the_newest(one: TestHive) -> None:
    path = record(state_of(one, "coder"), 30, 8, 6, *[1] * 150)
    (one.home / "hive.toml").write_text("[retention]\nturn_events = 100\n")
    assert records(one, "--dry-run")["coder"]["count"] == 53
    assert len(seqs(path)) == 153
    assert records(one)["coder"]["count"] == 53
    assert seqs(path) == list(range(54, 154))
    # As the agent: nothing in its folder belongs to another now.
    assert {found.stat().st_uid for found in path.parent.iterdir()} == {path.parent.stat().st_uid}
    assert records(one) == {}


def test_what_there_is_no_time_for_goes_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = record(tmp_path, *[8] * 2000, 1)
    monkeypatch.setattr(trimming, "LONGEST", 0.0)
    assert trimming.trim(tmp_path, time.time() - 7 * DAY, 100, dry=False)["events"] == 0
    monkeypatch.undo()
    assert trimming.trim(tmp_path, time.time() - 7 * DAY, 100, dry=False)["events"] == 2000
    assert seqs(path) == [2001]


def test_holes_that_an_agent_has_made_in_its_record_are_no_bytes_that_were_freed(tmp_path: Path) -> None:
    path = record(tmp_path, *[8] * 2000, 1)
    taken = path.stat().st_size
    os.truncate(path, 2**36)
    assert 0 < trimming.trim(tmp_path, time.time() - 7 * DAY, 100, dry=False)["size"] < 2 * taken


def test_how_long_turns_are_kept_is_a_setting(one: TestHive) -> None:
    path = record(state_of(one, "coder"), 3, 1)
    (one.home / "hive.toml").write_text("[retention]\nturns = 2\n")
    records(one)
    assert seqs(path) == [2]


def test_what_is_freed_is_given_back_also_of_a_file_that_an_older_harness_has_made(one: TestHive) -> None:
    state = state_of(one, "coder")
    for mode in (0, 2):
        with closing(sqlite3.connect(state / "events.sqlite")) as db:
            db.execute(f"pragma auto_vacuum = {mode}")
            db.execute("create table a (b)")
        path = record(state, *[8] * 800, 1)
        before = path.stat().st_size
        told = records(one)["coder"]
        assert told["count"] == 800
        assert told["size"] > before / 2
        assert path.stat().st_size < before / 2
        path.unlink()


def test_a_harness_that_writes_meanwhile_goes_on(one: TestHive) -> None:
    path = record(state_of(one, "coder"), *[8] * 600, 1)
    os.chown(path.parent, path.stat().st_uid, path.stat().st_uid)
    made = Record(path.parent)
    made.begin("2", "operator", "x", redelivered=False, model=None)
    records(one)
    made.add(602, "text", {})
    made.close()
    assert seqs(path) == [601, 602]


def link(path: Path, secret: Path) -> None:
    path.symlink_to(secret)


def pipe(path: Path, _secret: Path) -> None:
    os.mkfifo(path)


def pipe_as_log(path: Path, _secret: Path) -> None:
    record(path.parent, 8)
    Path(f"{path}-wal").unlink(missing_ok=True)
    os.mkfifo(f"{path}-wal")


def sparse(path: Path, _secret: Path) -> None:
    with path.open("wb") as file:
        file.truncate(10 * 2**30)


def sparse_behind_a_record(path: Path, _secret: Path) -> None:
    record(path.parent, 8)
    os.truncate(path, 10 * 2**30)


def rubbish(path: Path, _secret: Path) -> None:
    path.write_bytes(os.urandom(100_000))


def damaged(path: Path, _secret: Path) -> None:
    record(path.parent, *[8] * 500)
    with path.open("r+b") as file:
        for page in range(2, 40):
            file.seek(page * 4096)
            file.write(os.urandom(4096))


def another(path: Path, _secret: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table a (b)")


def with_triggers(path: Path, _secret: Path) -> None:
    record(path.parent, 8)
    with closing(sqlite3.connect(path)) as db:
        db.execute("create trigger t before delete on turn_events begin select load_extension('/state/evil.so'); end")


def as_views(path: Path, _secret: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("create table turns (id, ended)")
        endless = "with recursive n(seq) as (select 1 union all select seq + 1 from n) select seq, 0 as at from n"
        db.execute(f"create view turn_events as {endless}")


def endless(path: Path, _secret: Path) -> None:
    record(path.parent, 8)
    with closing(sqlite3.connect(path)) as db:
        db.execute("drop table turn_events")
        db.execute("create table turn_events (seq integer primary key, turn, at as (seq + 0), kind, data)")
        db.execute("create view bomb as with recursive n(a) as (select 1 union all select a from n) select a from n")
        db.execute("create index i on turn_events (turn)")


HOSTILE: tuple[Callable[[Path, Path], None], ...] = (
    link, pipe, pipe_as_log, sparse, sparse_behind_a_record, rubbish, damaged, another, with_triggers, as_views, endless,
)  # fmt: skip
# In these there is nothing to be done, or what there is can be done.
HARMLESS = {sparse_behind_a_record, endless}


def test_whatever_an_agent_makes_of_the_file_is_told_hurts_nobody_and_holds_up_nobody(
    one: TestHive, tmp_path: Path
) -> None:
    one.spawn("other")
    secret = tmp_path / "secret.sqlite"
    record(tmp_path, 8)
    (tmp_path / "events.sqlite").rename(secret)
    before = secret.read_bytes()
    own = state_of(one, "coder") / "events.sqlite"
    for number, make in enumerate(HOSTILE):
        for path in own.parent.glob("events.sqlite*"):
            path.unlink()
        make(own, secret)
        for path in own.parent.glob("events.sqlite*"):
            os.chown(path, own.parent.stat().st_uid, own.parent.stat().st_uid, follow_symlinks=False)
        record(state_of(one, "other"), *[8] * (number + 1))
        told = records(one, code=0 if make in HARMLESS else 1)
        assert told["other"]["count"] == 1, make
        assert make in HARMLESS or told["coder"]["ok"] is False, make
        assert secret.read_bytes() == before, make
    assert one.agent("coder")["running"] is True


def test_one_that_takes_too_long_is_given_up(one: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    record(state_of(one, "coder"), 8)
    monkeypatch.setattr(turn_records, "LONGEST", 0.0)
    told = list(turn_records.sweep(one.inside(), False))
    assert [row.ok for row in told] == [False]
    assert "too long" in told[0].detail


def test_what_an_agents_side_says_is_not_believed() -> None:
    for text in ("", "x" * 70_000, "[]", "{}", '{"events": -1, "size": 0}', '{"events": 1e999, "size": 0}',
                 '{"events": "1", "size": true}', '{"trouble": "\\u001b[31mred"}'):  # fmt: skip
        with pytest.raises(turn_records.HiveError) as raised:
            turn_records._understood("coder", text)
        assert "\x1b" not in str(raised.value)


@pytest.mark.remembered
def test_an_agent_without_a_record_has_nothing_to_trim(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    assert records(hive) == {}


@thorough
@given(
    documents().map(json.dumps)
    | texts
    | st.sampled_from(["[" * 100_000, '{"events": 1, "size": NaN}', '{"events": true, "size": 1}', "1" * 5000])
    | st.fixed_dictionaries({"events": documents(), "size": documents()}).map(json.dumps)
)
def test_whatever_is_said_of_a_record_is_two_numbers_or_a_trouble_of_that_agent_alone(said: str) -> None:
    try:
        told = turn_records._understood("coder", said)
    except HiveError as error:
        trouble = str(error)
    else:
        assert all(isinstance(told[name], int) and told[name] >= 0 for name in ("events", "size"))
        return
    assert trouble.replace("\n", "").isprintable()
    assert len(trouble) < 600
