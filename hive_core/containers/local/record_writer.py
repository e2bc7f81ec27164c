"""The records a supervisor leaves, written so that a reader finds the old one or the new one; see records.py."""

# pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH104, PTH123

from __future__ import annotations

import os
import time

# What a supervisor's report begins with when the configuration is to blame for it, and not the machine.
OWN = "own: "


def write_run(folder: str, instance: str, revision: str, sandbox: str) -> None:
    """Tell that this process supervises the container now.

    The JSON is spelled by hand, as json and what it imports cost a quarter of a supervisor's memory: its texts are
    hex digits and our own words.
    """
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        started = file.read().rsplit(")", 1)[1].split()[19]
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read().strip()
    owner = f'{{"pid": {os.getpid()}, "started": {started}, "boot": "{boot}"}}'
    _replace(
        f"{folder}/run.json",
        f'{{"supervisor": {owner}, "instance": "{instance}", "revision": "{revision}", '
        f'"started_at": {time.time():.3f}, "sandbox": "{sandbox}"}}',
    )


def write_exit(folder: str, instance: str, code: int, out_of_memory: bool) -> None:
    """Tell how this instance ended; at is now."""
    flag = "true" if out_of_memory else "false"
    _replace(
        f"{folder}/exit.json",
        f'{{"code": {code}, "out_of_memory": {flag}, "at": {time.time():.3f}, "instance": "{instance}"}}',
    )


def _replace(path: str, text: str) -> None:
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
    os.rename(f"{path}.new", path)
