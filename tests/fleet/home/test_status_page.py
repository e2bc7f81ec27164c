"""The link to the status page: of one that is served now, never of one that was killed."""

from __future__ import annotations

import pytest

from hive_agent.page.door import private_name
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
        assert status_page.link(inside) == f"http://{private_name('k')}:7000/#key=k"
        assert status_page.link(inside, "read") == f"http://{private_name('r')}:7000/#key=r"
        status_page.remember(inside, "https://hive.example.org/", {"k": "all"})
        assert status_page.link(inside) == "https://hive.example.org/#key=k"
    status_page.forget(inside)
    with pytest.raises(Refused, match=r"Nobody serves the status page\."):
        status_page.link(inside)


def test_the_page_goes_by_two_names_of_this_machine_and_by_a_proxys() -> None:
    own = status_page.names_of(7000)
    assert own.hosts == {"127.0.0.1:7000", "localhost:7000"}
    assert own.origins == {"http://127.0.0.1:7000", "http://localhost:7000"}
    assert own.url == "http://127.0.0.1:7000/"
    # The port that goes without saying is not in the header.
    assert status_page.names_of(80).hosts == {"127.0.0.1", "localhost"}
    by_host = status_page.names_of(7000, host="hive.example.org:8443")
    by_origin = status_page.names_of(7000, origin="https://hive.example.org:8443")
    assert by_host == by_origin
    assert by_host.hosts == own.hosts | {"hive.example.org:8443"}
    assert by_host.origins == own.origins | {"https://hive.example.org:8443"}
    assert by_host.url == "https://hive.example.org:8443/"
    other = status_page.names_of(7000, host="inner", origin="http://outer")
    assert (other.url, "inner" in other.hosts, "http://outer" in other.origins) == ("http://outer/", True, True)


def test_each_key_opens_one_thing_and_is_used_once() -> None:
    one, other = status_page.new_keys(), status_page.new_keys()
    assert sorted(one.values()) == ["all", "read"]
    assert not one.keys() & other.keys()
    assert list(status_page.new_keys(read_only=True).values()) == ["read"]


def test_new_keys_of_a_page_that_only_looks_only_look(hive: TestHive) -> None:
    inside = hive.inside()
    hive.home.mkdir()
    with inside.lone("page", "a test"):
        for read_only in (True, False):
            status_page.remember(inside, "http://x/", status_page.new_keys(read_only=read_only))
            before = status_page.link(inside, "read")
            status_page.renew(inside)
            assert status_page.link(inside, "read") != before
            if read_only:
                with pytest.raises(Refused, match="only looks") as refused:
                    status_page.link(inside)
                assert refused.value.hint == "`hive open --read-only` prints its link."
    with pytest.raises(Refused, match="Nobody serves"):
        status_page.renew(inside)


def test_the_keys_are_those_that_the_file_has_now(hive: TestHive) -> None:
    inside = hive.inside()
    hive.home.mkdir()
    keys = status_page.Keys(status_page.keys_of(inside))
    assert keys() == {}
    for each in ({"k": "all"}, {"l": "all"}, {"l": "read"}):
        status_page.remember(inside, "http://x/", each)
        assert keys() == each
    status_page.forget(inside)
    assert keys() == {}
