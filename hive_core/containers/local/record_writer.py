"""The records a supervisor leaves, written so that a reader finds the old one or the new one; see records.py."""

# pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH123

from __future__ import annotations

import os
import time

from hive_agent import atomic

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
    atomic.write(
        f"{folder}/run.json",
        f'{{"supervisor": {owner}, "instance": "{instance}", "revision": "{revision}", '
        f'"started_at": {time.time():.3f}, "sandbox": "{sandbox}"}}',
        mode=0o600,
    )


def write_exit(folder: str, instance: str, code: int, out_of_memory: bool) -> None:
    """Tell how this instance ended; at is now."""
    flag = "true" if out_of_memory else "false"
    atomic.write(
        f"{folder}/exit.json",
        f'{{"code": {code}, "out_of_memory": {flag}, "at": {time.time():.3f}, "instance": "{instance}"}}',
        mode=0o600,
    )
