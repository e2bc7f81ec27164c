"""Every command that the README shows is typed at a terminal, in its order, by root and by a plain user."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hives import CHECKOUT, PATIENCE, TestHive, eventually
from tests.needs import requires
from tests.users import USER, become, runnable

pytestmark = requires("git", "bash", "setpriv")

# Run by the test itself: they do not end, or run the tests.
ELSEWHERE = ("./hive up", "./tests/run", "./hive events --follow")
USERS = [None] if os.geteuid() != 0 else [None, USER]


def commands(page: str) -> list[str]:
    """The shell lines of a page, a here-document as one."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (CHECKOUT / page).read_text(), re.MULTILINE | re.DOTALL)
    line = re.compile(r"^[^\n]*<<'(\w+)'\n.*?\n\1$|^[^\n]+$", re.MULTILINE | re.DOTALL)
    return [match.group() for block in blocks for match in line.finditer(block)]


class Shell:
    """A shell at a terminal, in a checkout, of somebody whom git has never met."""

    def __init__(self, folder: Path, user: int | None) -> None:
        python, self.checkout = runnable(user)
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "python3").symlink_to(python)
        self.begin = become(user)
        self.environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "PS1": "<$?>",
            "PS2": "",
            # Whoever pages waits for somebody who turns the pages.
            "GIT_PAGER": "sh -c 'echo PAGED; exec sleep infinity'",
        }
        if user is None and os.geteuid() == 0:
            # What a real hive of the machine's keeps stays out of reach.
            self.environment |= {"HIVE_HOME": str(folder / "home"), "HIVE_RUN": str(folder / "run")}
        self.hive = [*self.begin, str(self.checkout / "hive")]
        self.up = self._start([*self.hive, "up"], subprocess.PIPE)
        assert self.up.stdout is not None
        assert any(b"hive is up" in line for line in self.up.stdout)
        self.terminal, inner = pty.openpty()
        self.shell = self._start([*self.begin, "bash", "--norc", "--noprofile", "--noediting", "-i"], inner)
        os.close(inner)
        self.shown = ""
        self._prompted()

    def _start(self, argv: list[str], stream: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            argv,
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.DEVNULL if stream == subprocess.PIPE else stream,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def type(self, line: str) -> None:
        """Type a line, and wait until it is done, well."""
        os.write(self.terminal, f"{line}\n".encode())
        assert self._prompted() == "0", self.shown

    def _prompted(self) -> str:
        before = len(self.shown)
        while not (found := re.search(r"<(\d+)>$", self.shown[before:])):
            assert select.select([self.terminal], [], [], PATIENCE)[0], self.shown
            self.shown += os.read(self.terminal, 65536).decode(errors="replace")
        return found[1]

    def json(self, *arguments: str) -> list[dict[str, object]]:
        argv = [*self.hive, *arguments, "--json"]
        done = subprocess.run(argv, cwd=self.checkout, env=self.environment, capture_output=True, check=True)
        rows: list[dict[str, object]] = json.loads(done.stdout)
        return rows

    def close(self) -> None:
        for row in self.json("list"):
            subprocess.run([*self.hive, "kill", str(row["name"])], env=self.environment, cwd="/", check=False)
        self.up.terminate()
        self.up.communicate()
        self.shell.kill()
        self.shell.wait()
        os.close(self.terminal)


@pytest.fixture(params=USERS, ids=["self", "plain user"][: len(USERS)])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    folder = tmp_path if request.param is None else Path(f"/tmp/hive-readme-{os.getpid()}")
    if request.param is not None:
        # pytest's own folders let nobody else in.
        folder.mkdir(mode=0o755)
        os.chown(folder, USER, USER)
    made = Shell(folder, request.param)
    yield made
    made.close()
    if request.param is not None:
        shutil.rmtree(folder)


def test_the_first_ten_minutes_of_the_readme(shell: Shell) -> None:
    lines = commands("README.md")
    for elsewhere in ELSEWHERE:
        assert any(line.startswith(elsewhere) for line in lines), elsewhere
    eventually(lambda: [row["name"] for row in shell.json("list") if row["running"]] == ["manager"])
    for line in lines:
        if not line.startswith(ELSEWHERE):
            shell.type(line)
    assert "too broad" in shell.shown
    assert "hello from coder" in shell.shown
    assert "PAGED" not in shell.shown
    decided = ["approved", "approved", "denied", "approved"]
    assert [row["status"] for row in shell.json("approvals", "--all")] == decided


def test_the_lines_of_the_sockets_page_commit_the_new_file_too(hive: TestHive, tmp_path: Path) -> None:
    hive.run("spawn", "coder")
    config = hive.home / "agents" / "coder" / "config"
    (config / "answer.py").write_text("pass\n")
    (config / "agent.toml").write_text('runner = "command"\ncommand = ["python3", "/config/answer.py"]\n')
    script = "\n".join(line for line in commands("docs/sockets.md") if line.startswith("git"))
    variables = {**hive.environment, "config": str(config)}
    subprocess.run(["sh", "-euc", script], env=variables, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    assert hive.git("agents/coder/config", "status", "--porcelain") == ""
    assert "answer.py" in hive.git("agents/coder/config", "ls-tree", "--name-only", "HEAD")
