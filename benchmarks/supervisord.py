"""A real supervisord with a throw-away configuration, as the peer of what hive does with its agents."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
        eventually(lambda: self.control("status").count("RUNNING") == processes + 1)

    def control(self, *words: str) -> str:
        argv = [PROGRAMS / "supervisorctl", "-c", self.folder / "conf", *words]
        return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=PATIENCE).stdout

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
