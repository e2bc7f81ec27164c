"""Every command that the README shows is run, in its order, as a person would run it."""

from __future__ import annotations

import re
import shutil
import subprocess

from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually
from tests.needs import requires

pytestmark = requires("git", "jq")

# Run by the test itself: they do not end, or run the tests.
ELSEWHERE = ("./hive up", "./tests/run", "./hive events --follow")


def commands() -> list[str]:
    """The shell lines of the README, a here-document as one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    line = re.compile(r"^[^\n]*<<'(\w+)'\n.*?\n\1$|^[^\n]+$", re.MULTILINE | re.DOTALL)
    return [match.group() for block in blocks for match in line.finditer(block)]


def test_the_first_ten_minutes_of_the_readme(hive: TestHive) -> None:
    lines = commands()
    for shown in ELSEWHERE:
        assert any(line.startswith(shown) for line in lines), shown
    # A new machine: git has never been told who works there.
    stranger = {name: value for name, value in hive.environment.items() if not name.startswith("GIT_")}
    hive.start("up")
    eventually(lambda: [row["name"] for row in hive.json("list") if row["running"]] == ["manager"])
    script = "\n".join(line for line in lines if not line.startswith(ELSEWHERE))
    shell = shutil.which("bash") or "/bin/sh"
    done = subprocess.run(
        [shell, "-eux", "-c", script],
        cwd=CHECKOUT,
        env=stranger | {"GIT_CONFIG_NOSYSTEM": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=10 * PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "too broad" in done.stdout
    assert [row["status"] for row in hive.json("approvals", "--all")] == ["approved", "approved", "denied", "approved"]
