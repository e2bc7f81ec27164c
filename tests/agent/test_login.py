"""The login from the agent's page: the harness drives the program's own login, a stand-in here; a human brings the code."""

from __future__ import annotations

import json
import os
import select
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hive_agent.clis import CLIS, LoginProgram
from hive_agent.errors import AgentError
from hive_agent.live import Live
from hive_agent.page.login import Attempt, trusted
from hive_agent.settings import from_environment
from hive_agent.waits import Poke
from tests.agent.browser import KEY, Client, free_port, login
from tests.agent.conftest import Place
from tests.agent.test_harness import wait_line
from tests.agent.test_page import wait_log
from tests.stand_ins.login_program import HOST, LINK, install

HOSTS = CLIS["claude"].login.hosts


@pytest.fixture
def paged(place: Place) -> Place:
    """A place whose agent has no login, not started yet."""
    place.environment |= {"HIVE_PORT": str(free_port()), "HIVE_PAGE_TOKEN": KEY}
    place.environment["HIVE_CLAUDE"] = str(install(place.folder / "bin"))
    place.configure(runner="claude")
    return place


@pytest.fixture
def client(paged: Place) -> Client:
    """Who uses the page of a started harness that says it needs a login."""
    paged.start()
    wait_log(paged, "page on port")
    paged.gate.wait_state("needs_login")
    return Client(paged)


@pytest.fixture
def logins(client: Client) -> Iterator[Callable[..., Any]]:
    """Waits until the page tells of a login in some state, and returns what it tells."""
    with client.stream() as news:
        yield lambda state, said="": login(news, state, said)


def post(client: Client, path: str, **body: str) -> Any:
    status, answer = client.ask("POST", path, body)
    return answer if status == 200 else (status, answer["error"])


def child_of(place: Place) -> int:
    """A descriptor of the program's process, which is the harness's only child."""
    assert place.process is not None
    path = f"/proc/{place.process.pid}/task"
    pids = [pid for task in os.listdir(path) for pid in Path(path, task, "children").read_text().split()]
    (pid,) = pids
    return os.pidfd_open(int(pid))


def await_end(descriptor: int) -> None:
    assert select.select([descriptor], [], [], 60)[0]
    os.close(descriptor)


def test_a_human_logs_the_agent_in_and_it_goes_on(paged: Place, client: Client, logins: Callable[..., Any]) -> None:
    assert post(client, "/api/login") == {"ok": True}
    assert logins("link") == {"state": "link", "link": LINK, "said": "", "takes_code": True}
    assert post(client, "/api/login-code", code=" right#fake-\n state ") == {"ok": True}
    assert logins("done")["link"] is None
    paged.gate.wait_state("idle")
    kept = json.loads((paged.login / ".credentials.json").read_text())
    assert kept["claudeAiOauth"]["accessToken"].startswith("fake-")


def test_a_code_that_is_none_may_be_given_again(client: Client, logins: Callable[..., Any]) -> None:
    post(client, "/api/login")
    logins("link")
    assert post(client, "/api/login-code", code="half") == {"ok": True}
    assert logins("link", "Invalid code. Please make sure the full code was copied.")["link"] == LINK
    post(client, "/api/login-code", code="right#fake-state")
    logins("done")


def test_a_refused_code_is_told_in_the_programs_words_and_a_new_login_may_begin(
    paged: Place, client: Client, logins: Callable[..., Any]
) -> None:
    post(client, "/api/login")
    logins("link")
    post(client, "/api/login-code", code="wrong#fake-state")
    assert logins("failed")["said"] == "Login failed: Request failed with status code 400"
    assert paged.gate.statuses[-1]["state"] == "needs_login"
    post(client, "/api/login")
    logins("link")


def test_a_program_that_ends_well_without_credentials_has_logged_nobody_in(
    client: Client, logins: Callable[..., Any]
) -> None:
    post(client, "/api/login")
    logins("link")
    post(client, "/api/login-code", code="empty#fake-state")
    assert logins("failed")["said"] == "It ended without usable credentials."


def test_cancelling_ends_the_program(paged: Place, client: Client, logins: Callable[..., Any]) -> None:
    post(client, "/api/login")
    logins("link")
    child = child_of(paged)
    assert post(client, "/api/login-cancel") == {"ok": True}
    assert logins("none") is None
    await_end(child)
    assert post(client, "/api/login-code", code="right#fake-state")[0] == 409


def test_there_is_one_login_at_a_time(paged: Place, client: Client, logins: Callable[..., Any]) -> None:
    post(client, "/api/login")
    logins("link")
    assert post(client, "/api/login") == (409, "A login is in progress already.")
    os.close(child_of(paged))


def test_a_login_dies_with_the_harness_however_that_ends(
    paged: Place, client: Client, logins: Callable[..., Any]
) -> None:
    post(client, "/api/login")
    logins("link")
    child = child_of(paged)
    paged.kill()
    await_end(child)


def test_credentials_that_come_by_another_way_are_seen_at_once_and_end_a_login_that_waits(
    paged: Place, client: Client, logins: Callable[..., Any]
) -> None:
    post(client, "/api/login")
    logins("link")
    child = child_of(paged)
    paged.log_in("fake-token")
    paged.gate.wait_state("idle")
    logins("none")
    await_end(child)
    assert post(client, "/api/login") == (409, "This agent is logged in.")


def test_credentials_that_were_refused_are_no_success(paged: Place, client: Client, tmp_path: Path) -> None:
    paged.log_in("fake-old")
    settings = from_environment(paged.environment)
    attempt = Attempt(CLIS["claude"].login, ["true"], settings, Live())
    told = attempt.follow(Poke(), lambda: (False, None))
    assert told is not None
    assert (told["state"], told["said"]) == ("failed", "It ended without usable credentials.")


def test_nobody_waits_for_a_human_for_ever(paged: Place) -> None:
    settings = from_environment(paged.environment)
    attempt = Attempt(CLIS["claude"].login, ["sleep", "1000"], settings, Live(), seconds=0.1)
    told = attempt.follow(Poke(), lambda: (False, None))
    assert told is not None
    assert told["state"] == "failed"
    assert told["said"].startswith("Nobody finished it")


def test_a_code_is_checked_for_what_no_code_has_and_never_becomes_two_lines(
    client: Client, logins: Callable[..., Any]
) -> None:
    assert post(client, "/api/login-code", code="right#x") == (409, "No login waits for a code.")
    post(client, "/api/login")
    logins("link")
    for code in ("ri\u202eght#x", "right\x00#x", "\x1b[31m", "x" * 4001, " ", "\x03"):
        assert post(client, "/api/login-code", code=code)[0] == 409
    post(client, "/api/login-code", code="right#fake-state")
    logins("done")


def test_while_a_code_is_checked_nothing_ends_the_login_but_the_human(
    paged: Place, client: Client, logins: Callable[..., Any]
) -> None:
    assert paged.stop() == 0
    fifo = str(paged.folder / "waits")
    for path in (fifo, f"{fifo}.go"):
        os.mkfifo(path)
    paged.environment["LOGIN_WAITS"] = fifo
    seen = len(paged.gate.statuses)
    (paged.folder / "log").unlink()
    paged.start()
    wait_log(paged, "page on port")
    paged.gate.wait_state("needs_login", seen)
    with client.stream() as news:
        post(client, "/api/login")
        login(news, "link")
        post(client, "/api/login-code", code="right#fake-state")
        assert wait_line(fifo) == "checking right#fake-state\n"
        paged.log_in("fake-token")
        paged.gate.wait_state("idle", seen)
        Path(f"{fifo}.go").write_text("go\n")
        login(news, "done")


# --- the link


@pytest.mark.parametrize(
    "link",
    [
        "https://evil.example/oauth",
        f"https://{HOST}.evil.example/oauth",
        f"https://{HOST}@evil.example/oauth",
        f"https://{HOST}:443@evil.example/oauth",
        f"https://evil.example/?{HOST}/",
        f"https://{HOST}:8443/oauth",
        f"https://{HOST}/oauth?redirect_uri=https%3A%2F%2Fevil.example%2F",
        f"https://{HOST}/oauth?redirect_uri=http%3A%2F%2F{HOST}%2F",
        f"https://{HOST}/oauth?redirect_uri=https%3A%2F%2F{HOST}%2F&redirect_uri=https%3A%2F%2Fevil.example%2F",
        f"https://{HOST}/oauth?x={'x' * 5000}",
        f"https://{HOST}",
        "https://[/",
    ],
)
def test_a_link_that_leads_elsewhere_is_never_shown(link: str) -> None:
    with pytest.raises(AgentError, match="none of its service's"):
        trusted(link, HOSTS)


def test_a_link_of_the_service_is_shown_as_it_is() -> None:
    assert trusted(LINK, HOSTS) == LINK


@pytest.mark.parametrize(
    "said", ["https://evil.example/login", "\x1b]8;;https://evil.example/\x07click\x1b]8;;\x07 https://evil.example/"]
)
def test_a_program_that_shows_such_a_link_is_ended(paged: Place, said: str) -> None:
    settings = from_environment(paged.environment)
    argv = ["sh", "-c", 'printf "%s\\n" "$1"; exec sleep 1000', "sh", said]
    attempt = Attempt(CLIS["claude"].login, argv, settings, Live())
    with pytest.raises(AgentError, match=r"was ended: https://evil\.example/"):
        attempt.follow(Poke(), lambda: (False, None))


def test_only_the_first_link_counts_and_what_is_told_is_short_and_plain(paged: Place) -> None:
    live = Live()
    settings = from_environment(paged.environment)
    script = (
        'printf "\\033[1m%s\\033[0m\\n" "$1"; echo https://evil.example/; head -c 100000 /dev/zero | tr "\\0" x; exit 3'
    )
    attempt = Attempt(CLIS["claude"].login, ["sh", "-c", script, "sh", LINK], settings, live)
    told = attempt.follow(Poke(), lambda: (False, None))
    assert live.snapshot()["login"]["link"] == LINK
    assert told is not None
    assert told["link"] is None
    assert len(told["said"]) < 400


def test_a_program_that_takes_no_code_says_itself_what_to_do_at_the_link(paged: Place) -> None:
    live = Live()
    program = LoginProgram(("login",), ("service.example",), takes_code=False)
    script = "echo Welcome; echo https://service.example/device; echo 'Enter this code:'; printf '\\033[94mABCD-1234\\033[0m\n'"
    attempt = Attempt(program, ["sh", "-c", f"{script}; exec cat"], from_environment(paged.environment), live)
    poke, seen = Poke(), []

    def watch() -> None:
        version = -1
        while (live.snapshot().get("login") or {}).get("said") != "Enter this code:\nABCD-1234":
            version = live.wait(version, 60)
        seen.append(live.snapshot()["login"])
        poke.set()

    thread = threading.Thread(target=watch)
    thread.start()
    assert attempt.follow(poke, lambda: (True, None)) is None
    thread.join()
    assert (seen[0]["state"], seen[0]["link"], seen[0]["takes_code"]) == (
        "link",
        "https://service.example/device",
        False,
    )


# --- who may


@pytest.mark.parametrize("path", ["/api/login", "/api/login-code", "/api/login-cancel"])
def test_nobody_without_the_key_or_from_another_page_comes_near_it(client: Client, path: str) -> None:
    for key in (None, "x"):
        assert client.ask("POST", path, {"code": "right#x"}, key=key)[0] == 401
    assert client.ask("POST", path, {"code": "right#x"}, Origin="http://evil.example")[0] == 403
    assert client.ask("GET", path)[0] == 404
    assert client.ask("GET", "/api/state")[1]["now"]["login"] is None


def test_a_key_in_the_configuration_goes_before_a_login(paged: Place) -> None:
    paged.configure(runner="claude", environment={"ANTHROPIC_API_KEY": "fake-key"})
    paged.start()
    wait_log(paged, "page on port")
    status, answer = Client(paged).ask("POST", "/api/login", {})
    why = "ANTHROPIC_API_KEY is set for it and goes before a login"
    assert (status, answer["error"]) == (409, f"A login would not help this agent: {why}.")


def test_a_runner_without_a_login_is_told_so(paged: Place) -> None:
    paged.program("cat")
    paged.start()
    wait_log(paged, "page on port")
    assert post(Client(paged), "/api/login") == (409, "The runner `exec` needs no login.")


def test_the_program_is_given_no_browser_of_the_container(paged: Place, client: Client) -> None:
    assert paged.stop() == 0
    program = paged.folder / "bin" / "claude"
    program.write_text('#!/bin/sh\necho "browser ${BROWSER-none} key ${HIVE_PAGE_TOKEN-none}"; exit 5\n')
    paged.environment["BROWSER"] = "/state/evil"
    seen = len(paged.gate.statuses)
    (paged.folder / "log").unlink()
    paged.start()
    wait_log(paged, "page on port")
    paged.gate.wait_state("needs_login", seen)
    with client.stream() as news:
        post(client, "/api/login")
        assert login(news, "failed")["said"] == "browser none key none"


def test_after_the_login_the_message_that_waited_has_its_turn(
    paged: Place, client: Client, logins: Callable[..., Any]
) -> None:
    paged.gate.put("operator", "hello")
    post(client, "/api/login")
    logins("link")
    post(client, "/api/login-code", code="right#fake-state")
    paged.gate.wait_state("thinking")
