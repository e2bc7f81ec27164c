"""Other programs that watch processes, as they are told of an end: circus by its publisher, pm2 by its bus.

Each runs one program that sleeps, as a throw-away; None where it is not installed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.hives import PATIENCE, eventually

_CIRCUS = """
[circus]
endpoint = ipc://{folder}/e
pubsub_endpoint = ipc://{folder}/p
stats_endpoint = ipc://{folder}/t
check_delay = 1
pidfile = {folder}/pid
[watcher:a]
cmd = sleep infinity
copy_env = true
"""
# Reads what is published, and writes a line for each process that was reaped.
_LISTENER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.connect(sys.argv[1])
socket.setsockopt(zmq.SUBSCRIBE, b"watcher.a.")
print("listening", flush=True)
while True:
    topic, _ = socket.recv_multipart()
    print(topic.decode(), flush=True)
"""
_BUS = """
const pm2 = require(process.argv[1]);
pm2.launchBus((error, bus) => {
  console.log('listening');
  bus.on('process:event', (told) => console.log(told.event));
});
"""


@dataclass
class Peer:
    """A program that watches one process. find: its pid. told: where a line comes for each end. word: of that line."""

    find: Callable[[], int]
    told: subprocess.Popen[str]
    word: str
    before: int = 0

    def kill(self) -> None:
        """End the process, and read the word of it."""
        os.kill(self.before or self.next(), signal.SIGKILL)
        assert self.told.stdout is not None
        while self.word not in self.told.stdout.readline():
            continue
        self.before = self.next()

    def next(self) -> int:
        """The pid of the process that has come after the last one."""
        return eventually(lambda: (pid := self.find()) not in (0, self.before) and pid)


@contextmanager
def circus(folder: Path) -> Iterator[Peer | None]:
    if find_spec("circus") is None:
        yield None
        return
    folder.mkdir()
    (folder / "ini").write_text(_CIRCUS.format(folder=folder))
    argv = [sys.executable, "-m", "circus.circusd", str(folder / "ini")]
    daemon = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    listener = subprocess.Popen(
        [sys.executable, "-c", _LISTENER, f"ipc://{folder}/p"], stdout=subprocess.PIPE, text=True
    )
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        yield Peer(lambda: _child_of(daemon.pid), listener, ".reap")
    finally:
        _end(listener, daemon)


@contextmanager
def pm2(folder: Path) -> Iterator[Peer | None]:
    program = os.environ.get("HIVE_TEST_PM2") or shutil.which("pm2")
    if program is None:
        yield None
        return
    folder.mkdir()
    environment = {**os.environ, "PM2_HOME": str(folder / "home"), "HOME": str(folder)}

    def run(*words: str) -> str:
        return subprocess.run(
            [program, *words], env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE
        ).stdout

    run("start", "sleep", "--name", "a", "--interpreter", "none", "--max-restarts", "9999", "--", "infinity")
    package = str(Path(program).resolve().parent.parent)
    listener = subprocess.Popen(["node", "-e", _BUS, package], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout is not None
        assert listener.stdout.readline() == "listening\n"
        yield Peer(lambda: int(json.loads(run("jlist").splitlines()[-1])[0]["pid"]), listener, "exit")
    finally:
        _end(listener)
        run("kill")


def _child_of(pid: int) -> int:
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    sleeping = [int(child) for child in below if Path(f"/proc/{child}/comm").read_text() == "sleep\n"]
    return sleeping[0] if sleeping else 0


def _end(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            # circusd now and then waits for ever for what it has asked to end.
            left = _child_of(process.pid)
            process.kill()
            process.wait(PATIENCE)
            if left:
                os.kill(left, signal.SIGKILL)
        if process.stdout is not None:
            process.stdout.close()
