"""Hundreds of messages through the real gate and the real harness, which are killed at random moments all the while."""

from __future__ import annotations

import json
import os
import random
import subprocess
from pathlib import Path

from hive_core.store import Store
from tests.agent import harnesses
from tests.forking import Started
from tests.hives import TestHive, eventually

MESSAGES = 120
KILLS = 40
PROGRAM = """#!/bin/sh
while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done >> "$HIVE_STATE/seen"
"""


class Fleet:
    """The gate and one harness, started again whenever they were killed."""

    def __init__(self, hive: TestHive, folder: Path) -> None:
        self.hive = hive
        self.socket = hive.root / "run" / "agents" / "coder.sock"
        self.folder = folder
        (folder / "state").mkdir(parents=True)
        program = folder / "program"
        program.write_text(PROGRAM)
        program.chmod(0o755)
        (folder / "agent.toml").write_text(f'runner = "exec"\ncommand = {json.dumps([str(program)])}\n')
        self.gate = self.start_gate()
        self.harness = self.start_harness()

    def start_gate(self) -> subprocess.Popen[str]:
        return self.hive.start("gate")

    def start_harness(self) -> Started:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "HIVE_LABEL": "coder",
            "HIVE_SOCKET": str(self.socket),
            "HIVE_STATE": str(self.folder / "state"),
            "HIVE_CONFIG": str(self.folder / "agent.toml"),
            "CLAUDE_CONFIG_DIR": str(self.folder / "claude"),
            "HIVE_RETRY_SECONDS": "0.01",
        }
        return harnesses.start(environment, self.folder)

    def kill_one(self, chance: random.Random) -> None:
        """Kill the gate or the harness, whichever the dice say, and start it again."""
        if chance.random() < 0.5:
            self.gate.kill()
            self.gate.communicate()
            self.gate = self.start_gate()
        else:
            self.harness.kill()
            self.harness.communicate()
            self.harness = self.start_harness()

    def end(self) -> None:
        self.harness.terminate()
        self.harness.communicate()


def acknowledged(store: Store) -> int:
    with store.read() as db:
        query = "select count(*) from messages where recipient = 'coder' and acknowledged_at is not null"
        return int(db.execute(query).fetchone()[0])


def test_none_is_lost_and_none_acknowledged_twice(hive: TestHive, tmp_path: Path) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        db.execute("insert into agents (name, desired, created_at, runner) values ('coder', 'stopped', 0, 'exec')")
        for number in range(MESSAGES):
            db.execute(
                "insert into messages (sender, recipient, body, sent_at) values ('operator', 'coder', ?, 1)",
                (f"<task-{number}>",),
            )
    fleet = Fleet(hive, tmp_path / "agent")
    chance = random.Random(7)
    for step in range(1, KILLS + 1):
        eventually(lambda: acknowledged(inside.store) >= step * MESSAGES // (KILLS + 1))  # noqa: B023
        fleet.kill_one(chance)
    eventually(lambda: acknowledged(inside.store) == MESSAGES)
    fleet.end()
    seen = (tmp_path / "agent" / "state" / "seen").read_text()
    assert all(f"<task-{number}>" in seen for number in range(MESSAGES))
    with inside.store.read() as db:
        rows = db.execute("select deliveries, delivered_at, acknowledged_at from messages").fetchall()
        handed_out = db.execute("select count(*) from events where kind = 'delivered'").fetchone()[0]
    assert all(row["acknowledged_at"] >= row["delivered_at"] for row in rows), "handed out after it was acknowledged"
    assert sum(row["deliveries"] for row in rows) == handed_out
    assert handed_out > MESSAGES, "nothing was ever killed in a turn: the test shows nothing"
