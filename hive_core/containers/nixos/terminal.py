"""A human at one of an agent's programs, in its container, by systemd-run(1): it has the terminal in between."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hive_core.containers.base import View
from hive_core.containers.nixos.places import Places
from hive_core.errors import Refused


def argv(place: Places, view: View, command: Sequence[str]) -> list[str]:
    """The command as the agent, with what it is told by its environment and the programs of its system."""
    told = {"HOME": "/state", "PATH": "/run/current-system/sw/bin", "TERM": os.environ.get("TERM", "dumb")}
    names = [f"--setenv={name}={value}" for name, value in {**told, **view.environment}.items()]
    where = ["--machine", place.container, "--uid=agent", "--working-directory=/state"]
    return ["systemd-run", "--pty", "--wait", "--collect", "--quiet", *where, *names, "--", *command]


def enter(place: Places, view: View, command: Sequence[str]) -> int:
    """Run it on this process's terminal; its exit code, 128 + n for signal n. Raises Refused without a terminal."""
    if not (os.isatty(0) and os.isatty(1)):
        raise Refused("This needs a terminal, for a human to answer at.", "Run it in a shell, without a pipe.")
    words = argv(place, view, command)
    child = os.posix_spawnp(words[0], words, os.environ)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code if code >= 0 else 128 - code
