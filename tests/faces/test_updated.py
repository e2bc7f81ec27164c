"""Hive is updated while one from before runs: nothing is changed under it, and whoever asks is told what to do."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from hive_core.errors import Outdated
from hive_core.migrations import STEPS
from hive_core.store import Store
from tests.hives import CHECKOUT, TestHive, eventually, interrupt

# A hive that is newer than this one by a step of the schema.
STEP = "create table more (a integer) strict;"
NEWER = [
    sys.executable,
    "-c",
    f"""
import sys
sys.path.insert(0, {str(CHECKOUT)!r})
from hive_core import migrations
migrations.STEPS = {{**migrations.STEPS, "m999_more": {STEP!r}}}
from hive_faces.shell.cli import main
main()
""",
]


def steps(hive: TestHive) -> set[str]:
    with closing(sqlite3.connect(hive.home / "hive.db")) as db:
        return {row[0] for row in db.execute("select name from migrations")}


@pytest.mark.remembered
def test_a_newer_hive_changes_no_database_that_an_older_one_serves(hive: TestHive) -> None:
    hive.spawn("coder")
    gate = hive.start("gate")
    eventually((hive.root / "run" / "host.sock").exists)
    for command in (["send", "coder", "hello"], ["events"], ["needs-you"]):
        told = hive.run(*command, program=NEWER, code=1).stderr
        assert f"`hive gate` is still the one from before the update (process {gate.pid})" in told
        assert "End it and start it again" in told
        assert told.count("before the update") == 1
    # What is urgent is done all the same, and who there is is shown.
    assert "coder" in hive.run("list", program=NEWER).stdout
    assert "coder was ended" in hive.run("kill", "coder", program=NEWER, code=1).stderr
    assert not hive.agent("coder")["running"]
    hive.run("send", "coder", "to the older one")
    assert interrupt(gate) == 130
    hive.run("send", "coder", "hello", program=NEWER)
    assert steps(hive) == {*STEPS, "m999_more"}


def test_who_serves_it_itself_may_change_it(tmp_path: Path) -> None:
    Store(tmp_path / "hive.db", {}).connection()
    locks = tmp_path / "locks"
    locks.mkdir()
    inside = Store(tmp_path / "hive.db", STEPS, locks)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hive_core.store.holder", lambda path: 1 if path == locks / "up.lock" else None)
        with pytest.raises(Outdated, match="`hive up` is still the one"):
            inside.connection()
        patch.setattr("hive_core.store.holder", lambda _: os.getpid())
        assert inside.connection().execute("select 1 from events").fetchall() == []
