"""What an agent's system gets and loses, in sentences with a weight."""

from __future__ import annotations

from hive_fleet.requests.consequences import Consequence, Weight
from hive_fleet.requests.system_changes import MOST_NAMED, differences

WIDENS, NARROWS = Weight.WIDENS, Weight.NARROWS


def test_what_is_added_and_gone_is_told() -> None:
    old = {"packages": frozenset({"jq", "git"}), "limits": frozenset({"x.service to MemoryMax=1G"})}
    new = {
        "packages": frozenset({"git", "curl"}),
        "users": frozenset({"eve"}),
        "ports": frozenset({"TCP 80", "UDP 53"}),
    }
    assert list(differences(old, new)) == [
        Consequence("users", WIDENS, "has the users eve"),
        Consequence("ports", WIDENS, "opens the ports TCP 80, UDP 53"),
        Consequence("packages", WIDENS, "has the packages curl"),
        Consequence("packages", NARROWS, "no longer has the packages jq"),
        Consequence("limits", WIDENS, "no longer bounds x.service to MemoryMax=1G"),
    ]
    assert list(differences(new, new)) == []


def test_many_are_counted_and_none_writes_over_the_terminal() -> None:
    many = frozenset({f"u{number}" for number in range(MOST_NAMED + 5)} | {"\x1b[2J"})
    (one,) = differences({}, {"users": many})
    assert one.text.endswith(" and 6 more")
    assert "\x1b" not in one.text
