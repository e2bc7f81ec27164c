"""`hive up`: what it shows while it keeps watch, and what it tells whoever has started it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive_fleet.watching.reporting import LONG
from tests import forking
from tests.clients import Client
from tests.hives import CHECKOUT, PATIENCE, PLAIN, TestHive, eventually, interrupt, line_of
from tests.needs import requires
from tests.programs import path_without

HIVE = [sys.executable, str(CHECKOUT / "hive")]
# As systemd starts what writes to the journal: it names the device and inode of both streams.
JOURNALLED = ["sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec "$0" "$@" >&2', *HIVE]


def test_up_says_what_happens_in_sentences(hive: TestHive) -> None:
    up = hive.start("up")
    assert line_of(up).split()[1:] == ["manager", "spawning…"]
    assert interrupt(up) == 130


def read_until(terminal: int, reached: Callable[[str], bool], shown: str = "") -> str:
    """What stands on a terminal when it says so, or at its end."""
    while not reached(shown):
        assert select.select([terminal], [], [], PATIENCE)[0], f"nothing more was shown: {shown!r}"
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except OSError:  # How Linux tells the end of a terminal (EIO).
            return shown
    return shown


def titles(shown: str) -> list[str]:
    """What the terminal was told to have as its title, in order."""
    return re.findall("\x1b\\]2;hive: (.*?)\x07", shown)


@pytest.mark.remembered
def test_up_says_what_needs_you_when_it_is_up_and_keeps_it_in_the_title_of_the_terminal(hive: TestHive) -> None:
    hive.run("ask", "Which?")
    ours, theirs = pty.openpty()
    environment = {**hive.environment, "TERM": "xterm"}
    up = subprocess.Popen([*HIVE, "up"], env=environment, stdout=theirs, stderr=subprocess.PIPE, text=True)
    hive.started.append(up)
    os.close(theirs)
    assert up.stderr is not None
    told = [up.stderr.readline() for _ in range(5)]
    # Of the manager that it has just made, too.
    first = "1 × needs login, 1 × question: `hive needs-you` shows what needs you\n"
    assert "hive is up in" in told[told.index(first) - 1]
    shown = read_until(ours, lambda text: "1 × question" in text)
    hive.run("answer", "1", "this")
    read_until(ours, lambda text: any("question" not in title for title in titles(text)))
    up.send_signal(signal.SIGINT)
    shown += read_until(ours, lambda text: False)
    os.close(ours)
    assert shown.count("\x1b[22;0t") == 1
    assert shown.endswith("\x1b[23;0t")


@pytest.mark.remembered
@pytest.mark.parametrize("verb", ["up", "watch", "gate", "page"])
def test_a_service_that_is_told_to_end_has_ended_well(hive: TestHive, verb: str) -> None:
    up = hive.start(verb, *(["--port", "7099"] if verb == "page" else []))
    eventually(lambda: hive.inside().running(verb))
    up.terminate()
    up.communicate(timeout=PATIENCE)
    assert up.returncode == 0


@pytest.mark.remembered
@requires("systemd-socket-activate")
def test_up_serves_the_socket_that_it_was_handed(hive: TestHive) -> None:
    path = hive.root / "run" / "host.sock"
    path.parent.mkdir()
    kept = [f"--setenv={name}={value}" for name, value in hive.environment.items()]
    hive.start("up", program=["systemd-socket-activate", f"--listen={path}", *kept, *HIVE])
    eventually(path.exists)
    before = path.stat().st_ino
    with Client(path) as client:
        assert client.ask("list")["ok"] is True
    assert path.stat().st_ino == before


def test_up_says_that_agents_have_no_sandbox(hive: TestHive) -> None:
    hive.extra["PATH"] = path_without(hive.root / "bin", "bwrap", "unshare", "setpriv", "mount")
    up = hive.start("up")
    assert up.stderr is not None
    assert any(line.startswith("warning: the agents' sandbox is NONE") for line in iter(up.stderr.readline, ""))


def test_a_terminal_that_was_stopped_holds_up_nothing_but_its_own_lines(hive: TestHive) -> None:
    ours, theirs = pty.openpty()
    up = forking.server().start(["up"], hive.environment, terminal=theirs)
    seen = b""
    try:
        while b"hive is up" not in seen:
            seen += os.read(ours, 4096)
        termios.tcflow(theirs, termios.TCOOFF)
        hive.spawn("coder", PLAIN)
        os.kill(hive.pid("coder"), signal.SIGKILL)
        eventually(lambda: hive.events("container_crash"))
        termios.tcflow(theirs, termios.TCOON)
        while b"crashed" not in seen:
            seen += os.read(ours, 4096)
        termios.tcflow(theirs, termios.TCOOFF)
        hive.run("send", "operator", "nobody reads this")
        up.terminate()
        assert up.wait(PATIENCE) == 0
    finally:
        up.kill()
        up.communicate()
        os.close(ours)
        os.close(theirs)


@pytest.mark.remembered
def test_what_goes_to_the_journal_has_priorities_and_no_clock(hive: TestHive) -> None:
    hive.run("spawn", "coder")
    with hive.inside().store.write() as db:
        db.execute("update agents set desired = 'stopped'")
    up = hive.start("watch", program=JOURNALLED)
    assert up.stderr is not None
    said = iter(up.stderr.readline, "")
    assert "watching 1 agent\n" in said
    hive.run("request-spawn", "tester")
    assert "<5>tester        asked for (`hive approve 2`)\n" in said
    assert hive.start("watch", program=JOURNALLED).communicate(timeout=PATIENCE)[1].startswith("<3>hive: `hive watch`")


# --- a service manager


class Manager:
    """Takes what hive tells a service manager, as systemd does."""

    def __init__(self, hive: TestHive) -> None:
        path = hive.root / "notify"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(PATIENCE)
        hive.extra["NOTIFY_SOCKET"] = str(path)

    def until(self, *wanted: str) -> None:
        """Wait until all of this was told, in any order."""
        told: list[str] = []
        while not set(wanted) <= set(told):
            assert len(told) < 50, told
            told += self.socket.recv(4096).decode().split("\n")


@pytest.fixture
def manager(hive: TestHive) -> Iterator[Manager]:
    made = Manager(hive)
    yield made
    made.socket.close()


@pytest.mark.remembered
def test_up_is_ready_when_its_sockets_are_and_tells_how_the_fleet_is(hive: TestHive, manager: Manager) -> None:
    hive.extra["WATCHDOG_USEC"] = "60000000"
    up = hive.start("up")
    # To bring up a fleet may take long; from then on each round counts.
    begun = ("READY=1", f"WATCHDOG_USEC={LONG}", "WATCHDOG_USEC=60000000", "WATCHDOG=1")
    manager.until(*begun, "STATUS=1 agent, 1 needs you")
    with Client(hive.root / "run" / "host.sock") as client:
        assert client.ask("list")["ok"] is True
    assert interrupt(up) == 130


@pytest.mark.remembered
def test_a_status_counts_requests_and_questions(hive: TestHive, manager: Manager) -> None:
    hive.spawn("coder", PLAIN)
    hive.run("request-spawn", "tester")
    hive.run("request-spawn", "writer")
    hive.start("watch")
    manager.until("STATUS=1 agent, 2 need you")


def test_nothing_is_told_where_nobody_listens(hive: TestHive, tmp_path: Path) -> None:
    hive.extra["NOTIFY_SOCKET"] = str(tmp_path / "gone")
    assert hive.run("watch", "--once").returncode == 0
