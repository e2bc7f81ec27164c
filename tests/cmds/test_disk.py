"""`hive disk`: who uses how much, whatever is in the folders that agents fill."""

from __future__ import annotations

import os
from typing import Any

import pytest

from hive_core import database_file, hostile_folders
from hive_fleet.upkeep import usage
from tests.hives import TestHive

pytestmark = pytest.mark.remembered


def rows(hive: TestHive) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["of"], row["what"]): row for row in hive.json("disk")}


def test_it_says_what_of_an_agent_takes_up_how_much_and_who_takes_up_most_first(hive: TestHive) -> None:
    for name, size in (("little", 1000), ("big", 3_000_000)):
        hive.spawn(name)
        (hive.home / "agents" / name / "state" / "file").write_bytes(os.urandom(size))
        (hive.home / "agents" / name / "claude" / "file").write_bytes(os.urandom(size))
    found = rows(hive)
    assert found["big", "state"]["size"] == found["big", "logins"]["size"] == 3_000_000
    assert found["little", "state"]["size"] == 1000
    assert found["little", "repositories"]["size"] > 0
    assert found["little", "builds"]["size"] > 0
    assert found["little", "journal"]["size"] > 0
    agents = [of for of, _ in found if of not in ("disk", "hive")]
    assert agents == sorted(agents, key=("big", "little").index)
    assert found["disk", "free"]["size"] > 0


def test_what_was_kept_of_a_destroyed_agent_is_among_it(hive: TestHive) -> None:
    hive.spawn("coder")
    (hive.home / "agents" / "coder" / "state" / "file").write_bytes(b"x" * 5000)
    hive.run("destroy", "coder", "--yes")
    assert "destroyed" in rows(hive)["coder", "state"]["detail"]


def test_the_database_is_told_by_its_tables_with_their_indexes(hive: TestHive) -> None:
    with hive.inside().store.write() as db:
        row = "insert into messages (sender, recipient, body, sent_at) values ('operator', 'coder', ?, 0)"
        db.executemany(row, [("word " * 400,) for _ in range(300)])
    found = rows(hive)
    parts = {what: row["size"] for (of, what), row in found.items() if what.startswith("database: ")}
    assert parts["database: messages"] > 300 * 2000
    assert parts["database: messages_search"] > 0
    assert not [what for what in parts if what.startswith(("database: messages_search_", "database: sqlite_auto"))]
    assert sum(parts.values()) <= found["hive", "database"]["size"]


def test_a_database_that_is_too_large_to_be_read_is_told_of_as_a_whole(
    hive: TestHive, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        row = "insert into events (at, kind, data) values (0, 'started', ?)"
        db.executemany(row, [("x" * 2000,) for _ in range(20_000)])
    monkeypatch.setattr(usage, "LONGEST", -1.0)
    assert database_file.by_table(inside.store, -1.0) == {}
    whats = [row.what for row in usage.usage(inside)]
    assert "database" in whats


def test_a_folder_that_is_too_full_is_told_in_part(hive: TestHive, monkeypatch: pytest.MonkeyPatch) -> None:
    hive.spawn("coder")
    for number in range(50):
        (hive.home / "agents" / "coder" / "state" / str(number)).write_bytes(b"x" * 100)
    monkeypatch.setattr(hostile_folders, "MOST_ENTRIES", 10)
    monkeypatch.setattr(hostile_folders._Room, "__init__", lambda self: setattr(self, "left", 10))
    (state,) = (row for row in usage.usage(hive.inside()) if (row.of, row.what) == ("coder", "state"))
    assert not state.whole
    assert state.detail.startswith("at least")


def test_links_and_holes_are_not_counted(hive: TestHive) -> None:
    hive.spawn("coder")
    state = hive.home / "agents" / "coder" / "state"
    (state / "link").symlink_to("/usr")
    with (state / "hole").open("wb") as file:
        file.truncate(10 * 2**30)
    os.mkfifo(state / "pipe")
    assert rows(hive).get(("coder", "state"), {"size": 0})["size"] < 10_000


def test_a_hive_without_anything_is_told_of_too(hive: TestHive) -> None:
    assert [of for of, _ in rows(hive)] == ["disk"]
    assert not hive.home.exists()
