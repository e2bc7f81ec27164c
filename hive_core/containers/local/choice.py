"""The sandbox that containers are started in: found out once, and remembered for as long as the machine stays the same.

To try one costs as much as a start. What was found holds until the machine boots again, another user asks or one of
the programs is replaced; and it is forgotten when a start fails, whatever the reason.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from hive_agent import atomic
from hive_core.containers.local.probe import probe
from hive_core.containers.local.sandbox import Sandbox
from hive_core.process import Owner

# What the sandboxes are built by.
_PROGRAMS = ("bwrap", "unshare", "setpriv", "mount", "pivot_root")


def choose(memory: Path) -> Sandbox:
    """The strongest sandbox of this machine for this user. memory: the file it is remembered in."""
    machine = _machine()
    known = _read(memory)
    if known is not None and known.get("machine") == machine:
        return Sandbox(known["sandbox"])
    sandbox = probe()
    if _is_sure(sandbox):
        _write(memory, {"machine": machine, "sandbox": sandbox.value})
    return sandbox


def forget(memory: Path) -> None:
    """Find it out anew the next time; on a disk that lets nothing be removed, when the machine has booted again."""
    with suppress(OSError):
        memory.unlink()


def _is_sure(sandbox: Sandbox) -> bool:
    """Whether nothing stronger can have failed for want of a process, a descriptor or room, in a bad moment."""
    return sandbox is Sandbox.BWRAP or (sandbox is Sandbox.UNSHARE and _identity("bwrap") is None)


def _machine() -> list[Any]:
    return [Owner.current().boot, os.geteuid(), [_identity(program) for program in _PROGRAMS]]


def _identity(program: str) -> list[Any] | None:
    """Which file a program is, and since when; None where there is none."""
    return next(_files(program), None)


def _files(program: str) -> Iterator[list[Any]]:
    # Where it is looked for by whoever tries a sandbox: exec's own rules.
    for folder in os.get_exec_path():
        try:
            found = os.stat(f"{folder}/{program}")  # noqa: PTH116 (one of many places, most of them empty)
        except OSError:
            continue
        yield [found.st_dev, found.st_ino, found.st_mode, found.st_mtime_ns]


def _read(memory: Path) -> dict[str, Any] | None:
    try:
        known: dict[str, Any] = json.loads(memory.read_bytes())
    except (OSError, ValueError):
        return None
    return known


def _write(memory: Path, value: dict[str, Any]) -> None:
    # On a full disk it is found out again each time, which keeps nobody from being started.
    with suppress(OSError):
        memory.parent.mkdir(mode=0o700, exist_ok=True)
        atomic.write(memory, json.dumps(value))
