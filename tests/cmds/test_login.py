"""Logging in: a human at a terminal, the agent's program in its sandbox, and a terminal of its own in between."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from hive_cmds.harness import set_status
from hive_core.caller import Identity, Role
from hive_core.containers.local.listeners import listeners
from tests import forking
from tests.agent.browser import Client, free_port, login
from tests.agent.clis import CLAUDE as REAL
from tests.hives import CHECKOUT, PLAIN, TestHive, eventually
from tests.needs import needs_root, requires
from tests.stand_ins.oauth import CODE, TOKEN, OauthService

# The CLI's login as far as it matters here: it shows a link, takes the code and keeps what it gets for it.
CLAUDE = """#!/bin/sh
[ "$1 $2" = "auth login" ] || exec sleep infinity
[ -t 0 ] && [ -t 1 ] || exit 9
printf 'terminal %s, user %s, page key "%s"\\n' "$(tty)" "$(id -u)" "$HIVE_PAGE_TOKEN"
ls /claude /state >/dev/null || exit 8
printf 'Paste code here: '
read -r code || exit 7
[ "$code" = right ] || exit 6
printf '{"claudeAiOauth": {"accessToken": "fake"}}' >"$CLAUDE_CONFIG_DIR/.credentials.json"
echo 'Login successful.'
"""

# The same for codex: it shows a link and the code to give there, and waits.
CODEX = """#!/bin/sh
[ "$*" = "login --device-auth" ] || exec sleep infinity
[ -t 0 ] && [ -t 1 ] || exit 9
printf 'Open the link and enter this code: ABCD. '
read -r done || exit 7
printf '{"auth_mode": "chatgpt", "tokens": {"access_token": "fake"}}' >"$CODEX_HOME/auth.json"
"""


class Human:
    """Somebody at a terminal of their own, before `hive login`."""

    def __init__(self, hive: TestHive, *arguments: str, program: list[str] | None = None) -> None:
        self.terminal, inner = pty.openpty()
        self.before = termios.tcgetattr(inner)
        environment = {**hive.environment, "TERM": "xterm"}
        self.process: subprocess.Popen[bytes] | forking.Started
        if program:
            argv = [sys.executable, *program, *arguments]
            self.process = subprocess.Popen(
                argv, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
            )
        else:
            self.process = forking.server().start(arguments, environment, terminal=inner)
        os.close(inner)
        hive.started.append(self.process)  # type: ignore[arg-type]
        self.seen = ""

    def see(self, text: str) -> None:
        """Wait until the screen shows something."""
        while text not in self.seen:
            assert select.select([self.terminal], [], [], 60)[0], self.seen
            try:
                self.seen += os.read(self.terminal, 65536).decode()
            except OSError as error:
                raise AssertionError(self.seen) from error

    def type(self, text: str) -> None:
        os.write(self.terminal, text.encode())

    def leave(self) -> int:
        code = self.process.wait(60)
        os.close(self.terminal)
        return code


@pytest.fixture
def coder(hive: TestHive, tmp_path: Path) -> TestHive:
    """A hive with an agent that needs a login."""
    return with_agent(hive, tmp_path, "claude", CLAUDE)


def with_agent(hive: TestHive, tmp_path: Path, runner: str, text: str) -> TestHive:
    program = tmp_path / "bin" / runner
    program.parent.mkdir()
    program.write_text(text)
    program.chmod(0o755)
    hive.extra[f"HIVE_{runner.upper()}"] = str(program)
    hive.spawn("coder", f'runner = "{runner}"\n')
    assert hive.agent("coder")["needs_login"]
    return hive


def test_a_human_logs_an_agent_in(coder: TestHive) -> None:
    human = Human(coder, "login", "coder")
    human.see("Paste code here: ")
    human.type("right\r")
    human.see("coder is logged in")
    assert human.leave() == 0
    assert not coder.agent("coder")["needs_login"]
    assert 'page key ""' in human.seen


def test_each_cli_has_its_own_way_to_log_in_and_its_own_login(hive: TestHive, tmp_path: Path) -> None:
    with_agent(hive, tmp_path, "codex", CODEX)
    (hive.home / "agents/coder/claude/.credentials.json").write_text('{"claudeAiOauth": {"accessToken": "fake"}}')
    assert hive.agent("coder")["needs_login"], "another CLI's login is none"
    human = Human(hive, "login", "coder")
    human.see("enter this code: ABCD")
    human.type("\r")
    human.see("coder is logged in")
    assert human.leave() == 0
    assert not hive.agent("coder")["needs_login"]


@needs_root
def test_the_program_has_the_agents_user_and_a_terminal_of_its_own(coder: TestHive) -> None:
    human = Human(coder, "login", "coder")
    human.see("Paste code here: ")
    assert "user 700000" in human.seen
    assert os.ttyname(human.terminal) not in human.seen
    human.type("\x03")
    assert human.leave() == 130


def test_a_wrong_code_is_told_and_leaves_no_login(coder: TestHive) -> None:
    human = Human(coder, "login", "coder")
    human.see("Paste code here: ")
    human.type("wrong\r")
    human.see("ended with code 6")
    assert human.leave() == 1
    assert coder.agent("coder")["needs_login"]


def test_a_human_who_goes_away_leaves_nothing_running(coder: TestHive, tmp_path: Path) -> None:
    coder.extra["TMPDIR"] = str(tmp_path)
    human = Human(coder, "login", "coder")
    human.see("Paste code here: ")
    (inner,) = (int(pid) for pid in children(human.process.pid))
    watch = os.pidfd_open(inner)
    os.close(human.terminal)
    assert select.select([watch], [], [], 60)[0]
    os.close(watch)
    human.process.wait(60)
    assert not list(tmp_path.glob("hive-bug-*"))


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


ENTER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from hive_fleet.agents.view import view_of
from hive_core import settings
from hive_core.containers.local.host import LocalHost
from hive_core.containers.local.sandbox import Sandbox
from hive_core.context import Hive
hive = Hive.open(settings.from_environment(os.environ))
command = ("sh", "-c", "[ -t 0 ] && [ -t 1 ] && echo ready && read -r code && echo got $code; exit 3")
print("code", LocalHost(hive.settings, Sandbox(sys.argv[2])).enter("coder", view_of(hive, "coder"), command))
"""


@pytest.mark.parametrize("sandbox", [pytest.param("bwrap", marks=requires("bwrap")), "unshare", "none"])
def test_every_sandbox_passes_the_terminal_through(coder: TestHive, sandbox: str) -> None:
    human = Human(coder, program=["-c", ENTER, str(CHECKOUT), sandbox])
    human.see("ready")
    human.type("right\r")
    human.see("got right")
    human.see("code 3")
    assert human.leave() == 0


def test_without_a_terminal_nobody_logs_in(coder: TestHive) -> None:
    assert "needs a terminal" in coder.run("login", "coder", code=1).stderr


@pytest.mark.remembered
def test_an_agent_that_needs_no_login_is_told_so(hive: TestHive) -> None:
    hive.spawn("plain", 'runner = "command"\ncommand = ["sleep", "infinity"]\n')
    assert "needs no login" in hive.run("login", "plain", code=1).stderr


CLOUD = 'runner = "claude"\nsettle_seconds = 0.05\n[environment]\nCLAUDE_CODE_USE_BEDROCK = "1"\n'
LAB = 'model_provider = "lab"\n[model_providers.lab]\nbase_url = "http://127.0.0.1:9/v1"\nenv_key = "LAB_KEY"\n'


def shown(hive: TestHive) -> list[bool]:
    """Whether the agent was shown as one that needs a login, each time that it was shown anew."""
    return [event["container"]["needs_login"] for event in hive.events("container_state_changed")]


@pytest.mark.remembered
def test_a_cloud_provider_needs_no_login_is_never_shown_to_need_one_and_a_login_is_refused(hive: TestHive) -> None:
    hive.spawn("coder", CLOUD)
    hive.run("watch", "--once")
    assert True not in shown(hive)
    assert hive.events("needs_login") == []
    refused = hive.run("login", "coder", code=1).stderr
    assert "CLAUDE_CODE_USE_BEDROCK is set for it and goes before a login" in refused
    hive.run("approve", str(hive.request("coder", CLOUD.replace('"1"', '"0"'))))
    assert hive.agent("coder")["needs_login"]


@pytest.mark.remembered
def test_a_provider_of_codex_needs_no_login_but_its_key(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "codex"\n[environment]\nLAB_KEY = "fake"\n')
    (hive.home / "agents/coder/codex/config.toml").write_text(LAB)
    assert not hive.agent("coder")["needs_login"]
    hive.run("approve", str(hive.request("coder", 'runner = "codex"\nsettle_seconds = 0.05\n')))
    assert hive.agent("coder")["needs_login"]
    refused = hive.run("login", "coder", code=1).stderr
    assert "the provider lab of its config.toml is used, which lacks LAB_KEY: set that in its agent.toml" in refused


@pytest.mark.remembered
def test_a_helper_in_the_login_folder_needs_no_login_and_is_no_key_in_the_configuration(hive: TestHive) -> None:
    hive.spawn("coder", 'runner = "claude"\n')
    assert hive.agent("coder")["needs_login"]
    (hive.home / "agents/coder/claude/settings.json").write_text('{"apiKeyHelper": "/state/key"}')
    assert not hive.agent("coder")["needs_login"]
    assert "apiKeyHelper of its settings.json is set" in hive.run("login", "coder", code=1).stderr


@pytest.mark.remembered
def test_a_refused_key_and_trouble_with_the_account_are_badges_with_their_reason(hive: TestHive) -> None:
    hive.spawn("coder", PLAIN)
    inside = hive.inside().acting_as(Identity(Role.AGENT, "coder"))
    set_status(inside, "key_refused", text="ANTHROPIC_API_KEY was refused: no such key", until=4102444800)
    row = hive.agent("coder")
    assert (row["turn"], row["needs_login"]) == ("key_refused", False)
    listed = " ".join(hive.run("list").stdout.split())
    assert "key refused, next try at" in listed
    assert "ANTHROPIC_API_KEY was refused: no such key" in listed
    set_status(inside, "account_trouble", text="Credit balance is too low", until=4102444800)
    assert "Credit balance is too low" in hive.run("list").stdout
    assert "account trouble" in hive.events("container_state_changed")[-1]["container"]["turn"].replace("_", " ")


@pytest.fixture
def real(hive: TestHive, tmp_path: Path) -> Iterator[TestHive]:
    """A hive with an agent of the real program, whose service is scripted on loopback."""
    hive.extra["HIVE_CLAUDE"] = str(REAL.program)
    with OauthService(tmp_path) as service:
        given = {**service.environment, "NODE_EXTRA_CA_CERTS": "/config/ca.pem"}
        lines = [f'{name} = "{value}"' for name, value in given.items()]
        toml = "\n".join(['runner = "claude"', "[environment]", *lines])
        hive.configure("coder", toml)
        # Not the port that every agent of this name on the machine has.
        (hive.home / "agents/coder/port").write_text(f"{free_port()}\n")
        hive.propose("coder", f"{toml}\n# x\n", files={"ca.pem": service.authority.read_text()})
        hive.run("spawn", "coder")
        yield hive


def begin(hive: TestHive) -> tuple[Human, str]:
    """A human before the login of the real program, and the state that its link carries."""
    human = Human(hive, "login", "coder")
    human.see("Paste code here if prompted > ")
    found = re.search(r"https://claude\.com/\S+[?&]state=([\w-]+)", human.seen)
    assert found, human.seen
    return human, found[1]


@REAL.needed
@requires("openssl")
def test_a_human_logs_an_agent_in_with_the_real_program(real: TestHive) -> None:
    human, state = begin(real)
    human.type("half\r")
    human.see("Invalid code.")
    human.type(f"wrong#{state}\r")
    human.see("Login failed: ")
    human.see("coder was not logged in: `claude auth login` ended with code 1.")
    assert human.leave() == 1
    assert real.agent("coder")["needs_login"]

    human, state = begin(real)
    human.type(f"{CODE}#{state}\r")
    human.see("Login successful.")
    human.see("coder is logged in.")
    assert human.leave() == 0
    assert not real.agent("coder")["needs_login"]
    assert TOKEN in (real.home / "agents/coder/claude/.credentials.json").read_text()


@REAL.needed
@requires("openssl")
def test_ctrl_c_ends_the_real_program_and_gives_the_terminal_back(real: TestHive) -> None:
    human = Human(real, "login", "coder")
    human.see("Paste code here if prompted > ")
    (inner,) = (int(pid) for pid in children(human.process.pid))
    watch = os.pidfd_open(inner)
    human.type("\x03")
    assert human.process.wait(60) == 130
    assert select.select([watch], [], [], 60)[0]
    os.close(watch)
    assert termios.tcgetattr(human.terminal) == human.before
    assert "hive:" not in human.seen
    os.close(human.terminal)


@REAL.needed
@requires("openssl")
def test_the_page_logs_it_in_with_the_real_program_in_its_container(real: TestHive) -> None:
    real.start("gate")
    port = int((real.home / "agents/coder/port").read_text())
    eventually(lambda: listeners([port]).get(port))
    key = urlsplit(real.run("open", "coder").stdout.strip()).fragment.removeprefix("key=")
    client = Client(port, key)
    with client.stream() as news:
        eventually(lambda: real.agent("coder").get("turn") == "needs_login")
        assert client.ask("POST", "/api/login", {}) == (200, {"ok": True})
        (state,) = parse_qs(urlsplit(login(news, "link")["link"]).query)["state"]
        assert client.ask("POST", "/api/login-code", {"code": f"{CODE}#{state}"})[0] == 200
        login(news, "done")
    eventually(lambda: real.agent("coder").get("turn") == "idle")
    assert not real.agent("coder")["needs_login"]
