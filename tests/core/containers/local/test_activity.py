"""What the processes of a container are at, however many an agent has started."""

from __future__ import annotations

import os
import signal
import subprocess

from hive_core.containers.local import activity

MANY = f"for i in $(seq {activity.MOST + 50}); do sleep 1000 & done; echo; wait"


def test_of_very_many_processes_only_some_are_looked_at() -> None:
    with subprocess.Popen(["sh", "-c", MANY], stdout=subprocess.PIPE, start_new_session=True) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        seen = activity.of(shell.pid, [])
        os.killpg(shell.pid, signal.SIGKILL)
    assert len(seen.processes) == activity.MOST
