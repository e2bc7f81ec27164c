"""Whether an agent is logged in: usable credentials, not just a file. hive asks too, and trusts no agent's file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hive_agent.clis import Credentials

# A login with the tokens of many MCP servers has some tens of KiB. To parse more is work that an agent could ask for.
LARGEST = 128 * 1024


def usable_credentials(login: Credentials, folder: int | str | Path, environment: Mapping[str, str]) -> bool:
    """Tell whether the CLI has something to log in with.

    folder: the login folder, as a path or an open descriptor of it. environment: what the CLI will be given.
    True with a key or token in the environment, or a regular file of at most 128 KiB that holds a token which is not
    empty. Follows no link, opens no pipe, raises nothing for whatever is there.
    """
    if any(environment.get(name, "").strip() for name in login.keys):
        return True
    data = _read(folder, login.file)
    if data is None:
        return False
    try:
        held = json.loads(data)
    except (ValueError, RecursionError):
        # Half-written or made up: no login, whichever it is.
        return False
    return any(_holds_text(held, place) for place in login.tokens)


def fingerprint(login: Credentials, folder: str | Path) -> tuple[int, ...] | None:
    """What changes whenever the credentials file is written or replaced; None where there is none."""
    try:
        found = os.lstat(Path(folder) / login.file)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _holds_text(value: Any, place: tuple[str, ...]) -> bool:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return isinstance(value, str) and bool(value.strip())


def _read(folder: int | str | Path, file: str) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if isinstance(folder, int):
            return _read_in(folder, file, flags)
        descriptor = os.open(folder, flags | os.O_DIRECTORY)
        try:
            return _read_in(descriptor, file, flags)
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _read_in(folder: int, name: str, flags: int) -> bytes | None:
    # O_NONBLOCK: opening a named pipe that nobody writes to would never return.
    descriptor = os.open(name, flags | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else None
