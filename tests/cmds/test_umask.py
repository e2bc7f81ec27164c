"""The umask of whoever calls changes nothing: agents, which are users of their own, reach what is theirs, and no more."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hives import CHECKOUT, TestHive, eventually
from tests.needs import needs_root
from tests.telling import Told

# It says what it can reach: its own socket, its own folder, its configuration.
REACHES = """runner = "command"
command = ["sh", "-c", "for f in /run/hive/agent.sock /state /config/agent.toml; do until test -r $f; do :; done; done;
  echo reached; exec sleep infinity"]
""".replace("\n  ", " ")


def build(root: Path, umask: int) -> dict[str, str]:
    """Make agents, a deploy and sockets by commands under a umask; the mode of everything that is there then."""
    hive = TestHive(root, umask=umask)
    try:
        Told(hive.start("up")).until("hive is up")
        hive.run("spawn", "coder")
        # What the harness that it begins with keeps is looked at, too.
        eventually((hive.home / "agents/coder/state/events.sqlite").exists)
        number = hive.request("coder", REACHES)
        hive.run("approve", str(number))
        eventually(lambda: "reached" in str(hive.asked("journal", name="coder")))
        hive.run("backup", str(hive.root / "kept"))
        return {
            re.sub(r"[0-9a-f]{2}/[0-9a-f]{38}|[0-9a-f]{40}", "SHA", str(path.relative_to(hive.root))): stat.filemode(
                path.lstat().st_mode
            )
            for part in ("home", "run", "kept")
            for path in (hive.root / part).rglob("*")
            if not re.search(r"\.git/objects/..$|agents/coder/config|-(wal|shm)$", str(path))
        }
    finally:
        hive.close()


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return build(tmp_path_factory.mktemp("usual") / "hive", 0o022)


@pytest.mark.parametrize("umask", [0o000, 0o027, 0o077], ids=oct)
def test_an_agent_reaches_what_is_its_own_and_every_mode_is_the_same(
    tmp_path: Path, usual: dict[str, str], umask: int
) -> None:
    found = build(tmp_path / "hive", umask)
    assert found == usual
    assert not [path for path, mode in found.items() if mode[8] == "w" and mode[0] not in "ls"]


@pytest.mark.parametrize("first", ["up", "gate", "page", "watch"])
def test_a_home_that_is_not_there_yet_is_made_for_its_owner_alone(hive: TestHive, first: str) -> None:
    assert not hive.home.exists()
    hive.start(first)
    eventually(hive.home.exists)
    assert stat.S_IMODE(hive.home.stat().st_mode) == 0o700


@needs_root
def test_a_checkout_that_is_roots_alone_has_a_harness_that_agents_can_run(hive: TestHive, tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    rooms = (
        "hive",
        "hive_agent",
        "hive_cmds",
        "hive_core",
        "hive_faces",
        "hive_fleet",
        "status_page",
        "pyproject.toml",
    )
    checkout.mkdir()
    for name in rooms:
        copy = shutil.copytree if (CHECKOUT / name).is_dir() else shutil.copy
        copy(CHECKOUT / name, checkout / name)
    (checkout / ".venv").symlink_to(CHECKOUT / ".venv")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "all"]):
        subprocess.run(["git", "-C", str(checkout), *command], env=hive.environment, check=True)
    subprocess.run(["chmod", "-R", "go-rwx", str(checkout)], check=True)
    hive.start("gate")
    hive.run("spawn", "coder", program=[sys.executable, str(checkout / "hive")])
    # What it says of itself came from its harness.
    eventually(lambda: hive.agent("coder").get("turn"))


def test_what_an_earlier_umask_has_closed_is_opened_again(hive: TestHive) -> None:
    hive.run("spawn", "coder")
    for folder in (hive.root / "run/sockets/coder", hive.home / "proposed/coder", hive.home / "applied"):
        folder.chmod(0o700)
    hive.run("restart", "coder")
    hive.run("spawn", "other")
    assert (hive.root / "run/sockets/coder").stat().st_mode & 0o777 == 0o755
    assert (hive.home / "applied").stat().st_mode & 0o777 == 0o755
