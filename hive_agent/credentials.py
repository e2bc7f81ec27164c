"""Whether an agent is logged in: usable credentials, not just a file. hive asks too, and trusts no agent's file."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from pathlib import Path

# What the CLI takes instead of a login: https://docs.claude.com/en/docs/claude-code/settings (environment variables).
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
FILE = ".credentials.json"
LARGEST = 1024 * 1024


def usable_credentials(folder: int | str | Path, environment: Mapping[str, str]) -> bool:
    """Tell whether the CLI has something to log in with.

    folder: the login folder, as a path or an open descriptor of it. environment: what the CLI will be given.
    True with a key or token in the environment, or a regular file `.credentials.json` of at most 1 MiB with a
    non-empty `claudeAiOauth.accessToken`. Follows no link, opens no pipe, raises nothing for whatever is there.
    """
    if any(environment.get(name, "").strip() for name in KEYS):
        return True
    data = _read(folder)
    if data is None:
        return False
    try:
        login = json.loads(data)["claudeAiOauth"]["accessToken"]
    except (ValueError, KeyError, TypeError, RecursionError):
        # Half-written, blanked or made up: no login, whichever it is.
        return False
    return isinstance(login, str) and bool(login.strip())


def fingerprint(folder: str | Path) -> tuple[int, ...] | None:
    """What changes whenever the credentials file is written or replaced; None where there is none."""
    try:
        found = os.lstat(Path(folder) / FILE)
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _read(folder: int | str | Path) -> bytes | None:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        if isinstance(folder, int):
            return _read_in(folder, flags)
        descriptor = os.open(folder, flags | os.O_DIRECTORY)
        try:
            return _read_in(descriptor, flags)
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _read_in(folder: int, flags: int) -> bytes | None:
    # O_NONBLOCK: opening a named pipe that nobody writes to would never return.
    descriptor = os.open(FILE, flags | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(LARGEST + 1)
    return data if len(data) <= LARGEST else None
