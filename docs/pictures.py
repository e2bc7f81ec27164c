"""Takes the picture of the status page from a hive that is really up: python3 docs/pictures.py (needs chromium)."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from hive_cmds.harness import set_status  # noqa: E402
from hive_cmds.questions import ask  # noqa: E402
from hive_core.caller import Identity, Role  # noqa: E402
from tests.agent.browser import free_port  # noqa: E402
from tests.hives import PLAIN, TestHive, eventually  # noqa: E402

SAYS = {
    "docs": ("thinking", "rewrites the page on sockets"),
    "tester": ("idle", "waits for an answer"),
    "manager": ("idle", None),
}
# What coder does with each message.
TURNS = """runner = "exec"
settle_seconds = 0.05
command = ["sh", "-c", "cat >/dev/null; echo The tokenizer is a module of its own now.; echo All 412 tests pass."]
"""


def past(hive: TestHive, name: str) -> None:
    """A day as an agent may have had it: turns, a crash, deploys."""
    chance, at, rows = random.Random(1), time.time() - 24 * 3600, []  # noqa: S311 - no secret
    while at < time.time() - 1800:
        for turn, most in (("thinking", 2400), ("idle", 5000)):
            rows.append((at, "container_state_changed", {"container": {"name": name, "running": True, "turn": turn}}))
            at += chance.uniform(60, most)
        if chance.random() < 0.1:
            decided = {"id": chance.randint(1, 9), "agent": name, "approval_kind": "apply_commit", "status": "approved"}
            rows.append((at, "approval_resolved", decided))
    crashed = len(rows) * 2 // 3
    rows.insert(crashed, (rows[crashed][0] - 900, "container_crash", {"agent": name, "cause": "out of memory"}))
    rows.insert(
        crashed + 1, (rows[crashed][0], "container_state_changed", {"container": {"name": name, "failed": True}})
    )
    with hive.inside().store.write() as db:
        lines = [(at, kind, name, json.dumps(data)) for at, kind, data in rows]
        db.executemany("insert into events (at, kind, agent, data) values (?, ?, ?, ?)", lines)


def fill(hive: TestHive) -> None:
    """Make a small fleet at work, with something for the operator to decide."""
    for name in ("coder", "tester", "docs", "old"):
        hive.spawn(name, TURNS if name == "coder" else PLAIN)
    past(hive, "coder")
    hive.run("stop", "old")
    more = 'allowed_recipients = ["operator", "tester"]\n[environment]\nGITHUB_TOKEN = "made-up"\n'
    sha = hive.propose("tester", PLAIN.replace("ready", "ready to test") + more)
    hive.run("request-commit", "tester", sha, "--description", "talks to GitHub")
    hive.run("request-spawn", "reviewer", "--description", "reads what the others write")
    inside = hive.inside()
    for name, (state, text) in SAYS.items():
        role = Role.MANAGER if name == "manager" else Role.AGENT
        set_status(inside.acting_as(Identity(role, name)), state, text)
    hive.run("send", "coder", "Split the parser, please.")
    ask(
        inside.acting_as(Identity(Role.AGENT, "tester")),
        "Which branch shall I rebase on?",
        options=["main", "next"],
        ttl=1800,
    )


def main() -> None:
    hive = TestHive(Path(tempfile.mkdtemp()), extra={"HIVE_PAGE": ""})
    hive.home.mkdir()
    (hive.home / "hive.toml").write_text(f"[ports]\npage = {free_port()}\nmanager = {free_port()}\n")
    hive.configure("manager", PLAIN)
    up = hive.start("up")
    try:
        eventually(lambda: hive.forked("open").returncode == 0)
        eventually((hive.root / "run" / "manager.sock").is_socket)
        fill(hive)
        with sync_playwright() as runner:
            browser = runner.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            page = browser.new_page(viewport={"width": 1280, "height": 1160})
            page.goto(hive.run("open").stdout.strip())
            page.wait_for_selector("#live:not(.stale)")
            page.locator("#needs").get_by_role("button", name="Look").first.click()
            page.locator(".diff .add").first.wait_for()
            page.locator(".agent[data-name=coder]").click()
            page.locator(".turns").get_by_text("All 412 tests pass").wait_for()
            page.screenshot(path=str(ROOT / "docs" / "status-page.png"))
    finally:
        up.terminate()
        hive.close()


if __name__ == "__main__":
    main()
