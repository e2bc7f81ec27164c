"""What a container's first process has begotten, by whichever of its threads, and what all of that has used."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

from hive_core.containers.nixos import activity
from hive_core.process import used_by
from tests.needs import needs_root, requires

PYTHON = sys.executable
SLEEP = ["sh", "-c", "sleep infinity & echo $!; wait"]


def test_children_of_every_thread_and_theirs_belong_to_it() -> None:
    started: list[subprocess.Popen[bytes]] = []
    go_on = threading.Event()

    def beget() -> None:
        started.append(subprocess.Popen(SLEEP, stdout=subprocess.PIPE, start_new_session=True))
        begun.set()
        # The children of a thread that has ended are another's.
        go_on.wait()

    begun = threading.Event()
    thread = threading.Thread(target=beget)
    thread.start()
    begun.wait()
    child = started[0]
    assert child.stdout is not None
    grandchild = int(child.stdout.readline())
    try:
        found = activity.of(os.getpid())
        assert {os.getpid(), child.pid, grandchild} <= found.processes
        assert activity.of(child.pid).processes == {child.pid, grandchild}
    finally:
        os.killpg(child.pid, 9)
        child.wait()
        child.stdout.close()
        go_on.set()
        thread.join()
    assert activity.of(child.pid).processes <= {child.pid}
    assert activity.of(child.pid).cpu == 0.0


def test_what_was_used_is_counted_also_of_children_that_have_ended() -> None:
    code = "import os, time\nwhile time.process_time() < 0.05: pass\nprint(flush=True)\ninput()"
    with subprocess.Popen(
        ["sh", "-c", f'{PYTHON} -S -c "{code}" </dev/null; echo; exec cat'],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        assert [process.stdout.readline() for _ in range(2)] == [b"\n", b"\n"]
        used = used_by(process.pid)
        assert used is not None
        assert 0.04 <= used <= activity.of(process.pid).cpu
    assert used_by(process.pid) is None


@needs_root
@requires("unshare")
def test_a_folder_that_is_gone_is_seen_as_that_whoever_of_it_shows_it(tmp_path: Path) -> None:
    source, seen = tmp_path / "source", tmp_path / "seen"
    source.mkdir()
    seen.mkdir()
    script = 'mount --bind "$1" "$2" && echo && exec cat'
    argv = ["sh", "-c", 'unshare --mount sh -c "$0" sh "$1" "$2"; true', script, str(source), str(seen)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", "mounting is not allowed here"
        assert not activity.holds_removed(process.pid, str(seen))
        assert not activity.holds_removed(process.pid, str(tmp_path / "nothing"))
        source.rmdir()
        assert activity.holds_removed(process.pid, str(seen))
