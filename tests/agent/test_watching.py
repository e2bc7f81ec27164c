"""Noticing at once that a file came into a folder."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hive_agent.errors import Stopped
from hive_agent.turns.watching import Watched
from hive_agent.waits import Waits


def test_what_was_written_or_put_there_since_the_watch_began_ends_a_wait(tmp_path: Path) -> None:
    waits = Waits()
    with Watched(tmp_path) as watched:
        (tmp_path / "new").write_text("x")
        assert watched.wait(waits)
        os.rename(tmp_path / "new", tmp_path / ".credentials.json")
        assert watched.wait(waits)
        seen: list[bool] = []
        thread = threading.Thread(target=lambda: seen.append(watched.wait(waits)))
        thread.start()
        (tmp_path / "later").write_text("x")
        thread.join()
        assert seen == [True]


@pytest.mark.parametrize("kind", ["absent", "file", "link"])
def test_where_there_is_nothing_to_watch_it_is_looked_at_again_and_again(tmp_path: Path, kind: str) -> None:
    place = tmp_path / "claude"
    if kind == "file":
        place.write_text("x")
    elif kind == "link":
        place.symlink_to(tmp_path)
    with Watched(place) as watched:
        assert not watched.wait(Waits())


def test_a_stop_ends_a_wait(tmp_path: Path) -> None:
    waits = Waits()
    waits.stop()
    for place in (tmp_path, tmp_path / "absent"):
        with Watched(place) as watched, pytest.raises(Stopped):
            watched.wait(waits)


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd")
    for place in (tmp_path, tmp_path / "absent"):
        with Watched(place):
            continue
    assert os.listdir("/proc/self/fd") == before
