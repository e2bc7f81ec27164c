"""The page behind a proxy with TLS: by the one name that the settings give, and by no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.agent.browser import free_port
from tests.chromium import browser
from tests.hives import TestHive
from tests.needs import requires
from tests.status_page.near import served_near
from tests.status_page.tls_proxy import tls_proxy

__all__ = ["browser"]

pytestmark = pytest.mark.remembered


def configure(hive: TestHive, text: str) -> None:
    hive.home.mkdir()
    (hive.home / "hive.toml").write_text(f"[page]\n{text}\n")


@pytest.mark.parametrize("text", ['host = "hive.test:8443"', 'origin = "https://hive.test:8443"'])
def test_the_name_of_the_proxy_is_one_more_and_the_only_one(hive: TestHive, text: str) -> None:
    configure(hive, text)
    with served_near(hive) as near:
        assert hive.run("open").stdout.startswith("https://hive.test:8443/#key=")

        def answered(host: str, origin: str) -> int:
            return near.client.ask("GET", "/api/state", Host=host, Origin=origin)[0]

        assert answered("hive.test:8443", "https://hive.test:8443") == 200
        assert near.client.ask("GET", "/api/state")[0] == 200
        for host, origin, status in [
            ("hive.test", "https://hive.test:8443", 421),
            ("evil.test:8443", "https://hive.test:8443", 421),
            ("hive.test:8443", "http://hive.test:8443", 403),
            ("hive.test:8443", "https://evil.test:8443", 403),
            ("hive.test:8443", "https://hive.test:8443.evil.test", 403),
            ("hive.test:8443", "null", 403),
        ]:
            assert answered(host, origin) == status
        forged = {
            "X-Forwarded-Host": "hive.test:8443",
            "X_Forwarded_Proto": "https",
            "Forwarded": "host=hive.test:8443",
        }
        assert near.client.ask("GET", "/api/state", Host="evil.test", **forged)[0] == 421


@requires("chromium", "openssl")
def test_a_browser_uses_it_through_tls(hive: TestHive, browser: Any, tmp_path: Path) -> None:
    port = free_port()
    with tls_proxy(tmp_path, "hive.test", port) as proxy:
        configure(hive, f'origin = "https://hive.test:{proxy}"')
        with served_near(hive, port=port), browser.new_context(ignore_https_errors=True) as context:
            page = context.new_page()
            page.goto(hive.run("open").stdout.strip())
            page.wait_for_selector("#live:not(.stale)")
            hive.run("request-spawn", "worker", "--description", "by way of TLS")
            page.get_by_text("by way of TLS").first.wait_for()
            assert page.url == f"https://hive.test:{proxy}/"
