"""The page behind a proxy with TLS: by the one name that the settings give, and by no other."""

from __future__ import annotations

import pytest

from tests.hives import TestHive
from tests.status_page.near import served_near

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
