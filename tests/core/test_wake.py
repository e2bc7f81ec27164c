"""Waking on another process's commit: each one, as soon as it can be read, also when its writer was killed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.events import emit, newest
from hive_core.store import Store
from hive_core.wake import Wake
from tests.hives import PATIENCE
from tests.needs import requires

WRITER = """
import sys; from pathlib import Path; from hive_core.store import Store; from hive_core.events import emit
store = Store(Path(sys.argv[1]))
for _ in sys.stdin:
    with store.write() as db: print(emit(db, 'spawned', agent='a'), flush=True)
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "hive.db")


def test_every_commit_of_another_process_is_seen_by_the_look_that_it_wakes(store: Store) -> None:
    command = [sys.executable, "-c", WRITER, str(store.path)]
    with Wake(store) as wake, subprocess.Popen(command, stdin=-1, stdout=-1, text=True, bufsize=1) as writer:
        assert writer.stdin is not None
        assert writer.stdout is not None
        for expected in range(1, 101):
            writer.stdin.write("\n")
            wake.wait(PATIENCE)
            with store.read() as db:
                assert newest(db) == expected
            assert writer.stdout.readline() == f"{expected}\n"
        writer.stdin.close()


def test_a_commit_whose_writer_died_before_the_bell_is_seen(store: Store) -> None:
    with Wake(store) as wake:
        db = store.connection()
        db.execute("begin immediate")
        emit(db, "spawned", agent="a")
        db.commit()
        wake.wait(PATIENCE)
        with store.read() as db:
            assert newest(db) == 1


def test_nothing_wakes_without_a_commit(store: Store) -> None:
    with Wake(store) as wake, store.read() as db:
        assert newest(db) == 0
        assert wake.wait(0.0) == set()


WITHOUT_INOTIFY = """
import sys; from pathlib import Path
Path("/proc/sys/user/max_inotify_instances").write_text("0")
from hive_core.errors import Replaced; from hive_core.events import emit, newest
from hive_core.store import Store; from hive_core.wake import Wake
store, other = Store(Path(sys.argv[1])), Store(Path(sys.argv[1]))
with Wake(store) as wake:
    assert "max_user_instances" in wake.notice
    assert wake.wait(0.0) == set()
    for expected in range(1, 4):
        with other.write() as db: emit(db, "spawned", agent="a")
        wake.wait(float(sys.argv[2]))
        with store.read() as db: assert newest(db) == expected
    store.path.rename(store.path.with_suffix(".aside"))
    try: wake.wait(float(sys.argv[2]))
    except Replaced: print("replaced")
"""


@requires("unshare")
def test_whoever_gets_no_inotify_is_woken_all_the_same_and_told_that_it_is_late(store: Store) -> None:
    # In a namespace of its own the limit is this test's alone.
    command = ["unshare", "-Ur", sys.executable, "-c", WITHOUT_INOTIFY, str(store.path), str(PATIENCE)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "replaced\n"
