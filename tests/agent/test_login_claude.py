"""The login from the page with the real program: its link, its refusals, and the whole exchange, against loopback."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.agent.browser import KEY, Client, free_port, login
from tests.agent.clis import CLAUDE
from tests.agent.conftest import Place
from tests.agent.test_page import wait_log
from tests.needs import requires
from tests.stand_ins.oauth import CODE, TOKEN, OauthService

pytestmark = [CLAUDE.needed, requires("openssl")]


@pytest.fixture
def service(place: Place) -> Iterator[OauthService]:
    with OauthService(place.folder) as running:
        yield running


@pytest.fixture
def client(place: Place, service: OauthService) -> Client:
    """Who uses the page of an agent with the real program and no login."""
    place.environment |= {"HIVE_PORT": str(free_port()), "HIVE_PAGE_TOKEN": KEY, "HIVE_CLAUDE": str(CLAUDE.program)}
    place.environment |= service.environment
    place.configure(runner="claude")
    place.start()
    wait_log(place, "page on port")
    place.gate.wait_state("needs_login")
    return Client(place)


def test_the_real_program_logs_in_over_the_page(place: Place, client: Client, service: OauthService) -> None:
    with client.stream() as news:
        client.ask("POST", "/api/login", {})
        link = urlsplit(login(news, "link")["link"])
        assert link.hostname == "claude.com"
        (state,) = parse_qs(link.query)["state"]
        assert client.ask("POST", "/api/login-code", {"code": "half"})[0] == 200
        login(news, "link", "Invalid code.")
        client.ask("POST", "/api/login-code", {"code": f"wrong#{state}"})
        login(news, "failed", "Login failed: ")

        client.ask("POST", "/api/login", {})
        (state,) = parse_qs(urlsplit(login(news, "link")["link"]).query)["state"]
        client.ask("POST", "/api/login-code", {"code": f"{CODE}#{state}"})
        login(news, "done")
    place.gate.wait_state("idle")
    exchanged = [body for path, body in service.asked if path == "/v1/oauth/token"]
    assert [body["code"] for body in exchanged] == ["wrong", CODE]
    credentials = place.login / ".credentials.json"
    assert json.loads(credentials.read_text())["claudeAiOauth"]["accessToken"] == TOKEN
    assert stat.S_IMODE(credentials.stat().st_mode) == 0o600


def test_cancelling_ends_the_real_program(place: Place, client: Client) -> None:
    with client.stream() as news:
        client.ask("POST", "/api/login", {})
        login(news, "link")
        assert client.ask("POST", "/api/login-cancel", {})[0] == 200
        login(news, "none")
    assert place.gate.statuses[-1]["state"] == "needs_login"
