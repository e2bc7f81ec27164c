"""An errand among what an agent has written is kept in bounds, and reaches nothing that the agent does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive_core.containers.base import View
from hive_core.containers.local import errand
from hive_core.errors import HiveError
from tests.hives import TestHive, eventually

EATS = "x = bytearray(2 * 2**30); print(len(x))"
SPEAKS = "print('x' * 200_000)"
LOOKS = """
import os, sys
for path in (sys.argv[1], "/run/hive", "/root/.ssh"):
    try:
        print(os.listdir(path))
    except OSError as error:
        print(error.errno)
"""


@pytest.fixture
def agent(hive: TestHive) -> TestHive:
    hive.spawn("coder")
    return hive


def run(hive: TestHive, source: str, *arguments: str) -> str:
    inside = hive.inside()
    with inside.store.read() as db:
        uid = db.execute("select uid from agents").fetchone()[0]
    view = View(uid, {"/state": hive.home / "agents/coder/state"}, {}, {})
    return inside.host.errand("coder", view, source, arguments, seconds=30.0)


def test_it_has_no_more_memory_than_it_needs_and_says_little(agent: TestHive) -> None:
    with pytest.raises(HiveError, match="MemoryError"):
        run(agent, EATS)
    with pytest.raises(HiveError, match="too much"):
        run(agent, SPEAKS)
    assert errand.MEMORY < 2**30


def test_it_sees_nothing_of_hive_but_what_it_is_shown(agent: TestHive) -> None:
    assert run(agent, LOOKS, str(agent.home)).split() == ["2", "2", "2"]


def test_what_it_leaves_running_dies_with_it(agent: TestHive) -> None:
    # Others on this machine may run the same test.
    mark = f"left-behind-{os.getpid()}"
    run(agent, f"import os; os.fork() or (os.setsid(), os.close(1), os.close(2), os.execlp('sleep', '{mark}', '1000'))")
    # The sandbox's first process tells of the end, and takes the others with it when it ends itself.
    eventually(lambda: not [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in read(path)])


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
