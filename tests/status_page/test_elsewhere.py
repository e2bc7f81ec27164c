"""The page of a hive that is elsewhere: over a forwarded socket, and as a user that has nothing of hive but its socket."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import prometheus_client.core
import pytest

from hive_core.context import Hive
from hive_core.settings import from_environment
from hive_faces.gate import gate
from hive_faces.page.page import page
from status_page import serving
from tests.agent.browser import Client, free_port
from tests.hives import TestHive, eventually
from tests.needs import needs_root, requires
from tests.status_page.near import follows, page_near
from tests.users import USER, open_folder

# Imported here for a process that may not read them.
__all__ = ["prometheus_client", "resource", "serving"]

pytestmark = pytest.mark.remembered


@contextmanager
def forwarded(source: Path, target: Path) -> Iterator[None]:
    """A socket that leads to another, as `ssh -L` makes one, for as long as the block runs."""
    argv = ["socat", f"UNIX-LISTEN:{source},fork", f"UNIX-CONNECT:{target}"]
    process = subprocess.Popen(argv, start_new_session=True)
    try:
        eventually(source.exists)
        yield
    finally:
        # Its forks, too.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        source.unlink(missing_ok=True)


@requires("socat")
def test_over_a_forwarded_socket_it_shows_and_does_everything_and_outlives_the_way_there(
    hive: TestHive, tmp_path: Path
) -> None:
    mine, way, there = TestHive(tmp_path / "mine"), tmp_path / "host.sock", hive.root / "run" / "host.sock"
    mine.extra |= hive.extra
    with gate.beside(hive.inside()), page_near(mine, socket=way) as near:
        with forwarded(way, there):
            eventually(near.file.exists)
            follows(near.client)
            state = near.client.ask("GET", "/api/state")[1]["result"]
            assert near.client.ask("POST", "/spawn", {"name": "coder"})[0] == 200
            assert hive.json("approvals")[0]["agent"] == "coder"
        assert near.client.ask("GET", "/api/state")[0] == 503
        hive.run("send", "operator", "meanwhile")
        with (
            forwarded(way, there),
            near.client.stream(Last_Event_ID=str(state["seq"])) as news,
        ):
            assert "meanwhile" in (data.get("body") for kind, _, data in news)
    assert not mine.home.joinpath("hive.db").exists()


def as_user(hive: TestHive, socket: Path, port: int, begin: int) -> None:
    """In a process of its own: become another user, and serve the page once something comes."""
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.read(begin, 1)
    page(Hive.open(from_environment(hive.environment)), socket=str(socket), port=port)


@needs_root
def test_a_user_in_the_sockets_group_serves_it_and_has_nothing_else_of_hive(hive: TestHive) -> None:
    with open_folder() as folder:
        run, mine, port = folder / "run", TestHive(folder / "mine"), free_port()
        # Whoever makes a file in it gives that to its group.
        run.mkdir()
        os.chown(run, 0, USER)
        run.chmod(0o2755)
        os.chown(mine.root, USER, USER)
        hive.extra["HIVE_RUN"] = str(run)
        begin, begun = os.pipe()
        # Before there is a thread here.
        child = os.fork()
        if child == 0:
            try:
                as_user(mine, run / "host.sock", port, begin)
            except BaseException:  # noqa: BLE001 - it ends here, whatever it is
                traceback.print_exc()
            os._exit(1)
        try:
            with gate.beside(hive.inside()):
                eventually((run / "host.sock").exists)
                os.write(begun, b"x")
                keys = mine.home / "page.json"
                eventually(keys.exists)
                client = Client(port, mine.run("open").stdout.strip().partition("#key=")[2])
                follows(client)
                assert keys.stat().st_uid == USER
                assert client.ask("POST", "/send", {"to": "operator", "body": "x"})[0] == 200
                assert hive.asked("recent", limit=1)
        finally:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(begin)
            os.close(begun)
