"""The door of a page: by its own name, from itself, with a key; whoever guesses keeps nobody out."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from hive_agent.page import door
from hive_agent.page.door import Denied, Door, private_name

HOSTS = ("127.0.0.1:7000", "localhost:7000")


@pytest.fixture
def made() -> Door:
    return Door(lambda: {"full": "all", "look": "read"}, 7000, HOSTS, "hive open")


@pytest.mark.parametrize(
    ("hosts", "origins", "status"),
    [
        (["evil.example:7000"], [], HTTPStatus.MISDIRECTED_REQUEST),
        (["127.0.0.1:7001"], [], HTTPStatus.MISDIRECTED_REQUEST),
        ([], [], HTTPStatus.MISDIRECTED_REQUEST),
        (["127.0.0.1:7000", "127.0.0.1:7000"], [], HTTPStatus.MISDIRECTED_REQUEST),
        (["127.0.0.1:7000"], ["http://127.0.0.1:8100"], HTTPStatus.FORBIDDEN),
        (["127.0.0.1:7000"], ["null"], HTTPStatus.FORBIDDEN),
        (["127.0.0.1:7000"], ["http://127.0.0.1:7000", "http://evil.example"], HTTPStatus.FORBIDDEN),
    ],
)
def test_another_name_and_another_page_are_refused(
    made: Door, hosts: list[str], origins: list[str], status: HTTPStatus
) -> None:
    with pytest.raises(Denied) as denied:
        made.check_names(hosts, origins)
    assert denied.value.status is status


@pytest.mark.parametrize("origins", [[], ["http://localhost:7000"]])
def test_the_page_itself_may_come(made: Door, origins: list[str]) -> None:
    made.check_names(["127.0.0.1:7000"], origins)


def test_behind_a_proxy_the_origin_is_the_one_that_was_named() -> None:
    proxied = Door(lambda: {"k": "all"}, 7000, ["hive.example"], "hive open", ["https://hive.example"])
    proxied.check_names(["hive.example"], ["https://hive.example"])
    with pytest.raises(Denied):
        proxied.check_names(["hive.example"], ["http://hive.example"])


def test_a_key_opens_what_it_is_for(made: Door) -> None:
    assert made.admit("Bearer full", "127.0.0.1") == "all"
    assert made.admit("Bearer look", "127.0.0.1") == "read"


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", "Bearer ful", "Bearer fulll", "Basic full", "Bearer ü\udcff"]
)
def test_what_is_no_key_opens_nothing_and_is_told_where_the_key_is(made: Door, given: str) -> None:
    with pytest.raises(Denied, match="`hive open`") as denied:
        made.admit(given, "127.0.0.1")
    assert denied.value.status is HTTPStatus.UNAUTHORIZED


def test_a_door_without_keys_opens_to_nobody() -> None:
    with pytest.raises(Denied):
        Door(dict, 7000, HOSTS, "hive open").admit("Bearer ", "127.0.0.1")
    with pytest.raises(Denied):
        Door(lambda: {"": "all"}, 7000, HOSTS, "hive open").admit("", "127.0.0.1")


def test_whoever_guesses_is_told_to_wait_and_keeps_nobody_out(made: Door) -> None:
    statuses = []
    for number in range(door.MOST_WRONG + 5):
        with pytest.raises(Denied) as denied:
            made.admit(f"Bearer {number}", "127.0.0.1")
        statuses.append(denied.value.status)
    assert statuses.count(HTTPStatus.UNAUTHORIZED) == door.MOST_WRONG
    assert statuses[-1] is HTTPStatus.TOO_MANY_REQUESTS
    assert made.admit("Bearer full", "127.0.0.1") == "all"
    with pytest.raises(Denied) as denied:
        made.admit("Bearer wrong", "::1")
    assert denied.value.status is HTTPStatus.UNAUTHORIZED


def test_a_key_that_was_changed_opens_nothing_any_more() -> None:
    keys = {"old": "all"}
    changing = Door(lambda: keys, 7000, HOSTS, "hive open")
    assert changing.admit("Bearer old", "127.0.0.1") == "all"
    old, new = (f"{private_name(key)}:7000" for key in ("old", "new"))
    changing.check_names([old], [f"http://{old}"])
    del keys["old"]
    keys["new"] = "all"
    changing.check_names([new], [f"http://{new}"])
    for names in ([old], []), ([new], [f"http://{old}"]):
        with pytest.raises(Denied):
            changing.check_names(*names)
    assert (changing.opens("Bearer old"), changing.opens("Bearer new")) == (None, "all")
    with pytest.raises(Denied):
        changing.admit("Bearer old", "127.0.0.1")


def test_addresses_without_end_are_not_kept(made: Door) -> None:
    for number in range(door.MOST_ADDRESSES + 10):
        with pytest.raises(Denied):
            made.admit("Bearer x", str(number))
    assert len(made._wrong) == door.MOST_ADDRESSES
