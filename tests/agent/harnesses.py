"""The harness without its start: a server that has imported all of it forks a process for each, as tests/forking.py tells.

What depends on the start itself is tried by agents in containers, which are started as ever.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.forking import ForkServer, Started, serve

_servers: dict[int, ForkServer] = {}


def start(environment: Mapping[str, str], folder: Path) -> Started:
    """Start a harness that writes what it has to say to `log` in this folder, and go on."""
    if os.getpid() not in _servers:
        argv = [sys.executable, "-m", "tests.agent.harnesses"]
        _servers[os.getpid()] = ForkServer(argv, {"PATH": os.environ["PATH"], "HOME": "/nonexistent"})
    with (folder / "log").open("ab") as log:
        return _servers[os.getpid()].start(["run"], environment, cwd=folder, log=log)


def _be(request: Mapping[str, Any]) -> None:
    """Be a harness."""
    from hive_agent.run import main

    sys.exit(main())


def _import_everything() -> None:
    package = importlib.import_module("hive_agent")
    for module in pkgutil.walk_packages(package.__path__, "hive_agent."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


if __name__ == "__main__":
    _import_everything()
    serve(socket.socket(fileno=int(sys.argv[1])), _be)
