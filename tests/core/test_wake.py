"""Waiting for commits: whoever is woken sees what woke it."""

from __future__ import annotations

import select
import subprocess
import sys
from pathlib import Path

from hive_core.store import Store
from hive_core.wake import Wake
from tests.hives import CHECKOUT, PATIENCE

WRITER = """
import sys
from pathlib import Path
from hive_core.store import Store
store = Store(Path(sys.argv[1]))
for line in sys.stdin:
    with store.write() as db:
        db.execute("insert into messages (sender, recipient, body, sent_at) values ('a', 'b', ?, 0)", (line,))
"""


def test_whoever_is_woken_by_a_commit_sees_it(tmp_path: Path) -> None:
    store = Store(tmp_path / "hive.db")
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(store.path)], stdin=subprocess.PIPE, text=True, cwd=CHECKOUT
    )
    assert writer.stdin is not None
    with Wake(store) as wake, writer:
        for number in range(1, 101):
            print("hello", file=writer.stdin, flush=True)
            wake.wait(PATIENCE)
            with store.read() as db:
                assert db.execute("select count(*) from messages").fetchone()[0] == number
        writer.stdin.close()


def test_a_transaction_that_changes_nothing_wakes_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path / "hive.db")
    with Wake(store) as wake:
        with store.write() as db:
            db.execute("delete from messages where id = 7")
        assert not _signalled(wake)
        with store.write() as db:
            db.execute("insert into messages (sender, recipient, body, sent_at) values ('a', 'b', 'c', 0)")
        assert _signalled(wake)


def _signalled(wake: Wake) -> bool:
    return bool(select.select([wake.fileno()], [], [], 0)[0])
