"""The link to the status page: of one that is served now, never of one that was killed."""

from __future__ import annotations

import pytest

from hive_core.errors import Refused
from hive_fleet.home import status_page
from tests.hives import TestHive


def test_the_keys_of_a_page_that_was_killed_lead_nowhere(hive: TestHive) -> None:
    inside = hive.inside()
    hive.home.mkdir()
    status_page.remember(inside, "http://127.0.0.1:7000/", {"k": "all", "r": "read"})
    assert status_page.keys_of(inside).stat().st_mode & 0o077 == 0
    with inside.lone("up", "a test"), pytest.raises(Refused, match="though `hive up` runs"):
        status_page.link(inside)
    with inside.lone("page", "a test"):
        assert status_page.link(inside) == "http://127.0.0.1:7000/#key=k"
        assert status_page.link(inside, "read").endswith("#key=r")
    status_page.forget(inside)
    with pytest.raises(Refused, match=r"Nobody serves the status page\."):
        status_page.link(inside)
