"""A real supervisord with a throw-away configuration, as the peer of what hive does with its agents."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

from tests.hives import PATIENCE, eventually

PROGRAMS = Path(sys.executable).parent

_CONFIGURATION = """
[supervisord]
logfile = {folder}/log
pidfile = {folder}/pid
childlogdir = {folder}
nodaemon = true
user = root
[unix_http_server]
file = {folder}/s
[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
[supervisorctl]
serverurl = unix://{folder}/s
[program:a]
command = sleep infinity
process_name = a%(process_num)s
numprocs = {processes}
startsecs = 0
autorestart = false
[eventlistener:ends]
command = {python} {listener} {folder}/fifo
events = PROCESS_STATE_EXITED
stderr_logfile = {folder}/listener
"""

# What a supervisord user writes to be told of ends: https://supervisord.org/events.html
_LISTENER = """
import sys
with open(sys.argv[1], "w") as told:
    while True:
        print("READY", flush=True)
        head = dict(word.split(":") for word in sys.stdin.readline().split())
        told.write(sys.stdin.read(int(head["len"])) + "\\n")
        told.flush()
        sys.stdout.write("RESULT 2\\nOK")
        sys.stdout.flush()
"""


class Supervisord:
    """A supervisord that runs. told: the pipe on which its event listener writes a line for each end."""

    def __init__(self, folder: Path, processes: int) -> None:
        folder.mkdir()
        self.folder = folder
        (folder / "listener.py").write_text(_LISTENER)
        subprocess.run(["mkfifo", folder / "fifo"], check=True)
        values = {
            "folder": folder,
            "processes": processes,
            "python": sys.executable,
            "listener": folder / "listener.py",
        }
        text = _CONFIGURATION.format(**values)
        (folder / "conf").write_text(text)
        self.process = subprocess.Popen(
            [PROGRAMS / "supervisord", "-c", folder / "conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.told = (folder / "fifo").open()
        eventually((folder / "s").exists)
        eventually(lambda: self._running() == processes + 1)

    def pid(self, name: str) -> int:
        """The process of a program of its."""
        return int(self._ask("getProcessInfo", name)["pid"])

    def start(self, name: str) -> None:
        """Start a program, and come back when it runs."""
        self._ask("startProcess", name)

    def _running(self) -> int:
        return sum(each["statename"] == "RUNNING" for each in self._ask("getAllProcessInfo"))

    def _ask(self, method: str, *arguments: str) -> Any:
        """Ask it as supervisorctl does (http://supervisord.org/api.html), which takes a program's start."""
        from supervisor.xmlrpc import SupervisorTransport

        transport = SupervisorTransport(None, None, f"unix://{self.folder}/s")
        with ServerProxy("http://127.0.0.1", transport=transport) as server:
            return getattr(server.supervisor, method)(*arguments)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.told.close()


@contextmanager
def supervisord(folder: Path, processes: int) -> Iterator[Supervisord]:
    running = Supervisord(folder, processes)
    try:
        yield running
    finally:
        running.close()
