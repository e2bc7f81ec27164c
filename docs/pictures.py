"""Takes the picture of the status page from a hive that is really up: python3 docs/pictures.py (needs chromium)."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from playwright.sync_api import sync_playwright  # noqa: E402

from hive_cmds.harness import set_status  # noqa: E402
from hive_cmds.questions import ask  # noqa: E402
from hive_core.caller import Identity, Role  # noqa: E402
from tests.agent.browser import free_port  # noqa: E402
from tests.hives import PLAIN, TestHive, eventually  # noqa: E402

SAYS = {"coder": ("thinking", "fixes the parser"), "tester": ("idle", "waits for an answer"), "manager": ("idle", None)}


def fill(hive: TestHive) -> None:
    """Make a small fleet at work, with something for the operator to decide."""
    for name in ("coder", "tester", "docs", "old"):
        hive.spawn(name)
    hive.run("stop", "old")
    more = 'allowed_recipients = ["operator", "tester"]\n[environment]\nGITHUB_TOKEN = "made-up"\n'
    sha = hive.propose("coder", PLAIN + more)
    hive.run("request-commit", "coder", sha, "--description", "talks to GitHub")
    hive.run("request-spawn", "reviewer", "--description", "reads what the others write")
    inside = hive.inside()
    for name, (state, text) in SAYS.items():
        role = Role.MANAGER if name == "manager" else Role.AGENT
        set_status(inside.acting_as(Identity(role, name)), state, text)
    hive.run("send", "coder", "What are you working on?")
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
            page = browser.new_page(viewport={"width": 1280, "height": 1000})
            page.goto(hive.run("open").stdout.strip())
            page.wait_for_selector("#live:not(.stale)")
            page.locator("#needs").get_by_role("button", name="Look").first.click()
            page.locator(".diff .add").first.wait_for()
            page.locator(".agent[data-name=coder]").click()
            page.screenshot(path=str(ROOT / "docs" / "status-page.png"))
    finally:
        up.terminate()
        hive.close()


if __name__ == "__main__":
    main()
