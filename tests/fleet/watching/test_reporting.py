"""What a watch tells the service manager that has started it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hive_core.context import Hive
from hive_fleet.needs import needs
from hive_fleet.needs.need import Need
from hive_fleet.watching.reporting import LONG, Reporting, status

pytestmark = pytest.mark.remembered
Enlist = Callable[..., Hive]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as made:
        made.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield made


def told(manager: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(manager.recv(4096).decode())
        except BlockingIOError:
            return found


@pytest.fixture
def watched(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> socket.socket:
    monkeypatch.setenv("WATCHDOG_USEC", "300000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    return manager


def test_each_round_is_told_where_somebody_waits_for_it(watched: socket.socket, enlist: Enlist) -> None:
    Reporting(enlist()).goes_round()
    assert told(watched) == ["WATCHDOG=1"]


def test_where_nobody_waits_for_it_only_the_fleet_is_told(manager: socket.socket, enlist: Enlist) -> None:
    reporting = Reporting(enlist("coder"))
    reporting.goes_round()
    with reporting.taking_long():
        assert told(manager) == []
    reporting.looked()
    assert told(manager) == ["STATUS=1 agent, nothing needs you"]


def test_what_takes_long_has_its_time_and_it_is_as_before_however_it_ends(
    watched: socket.socket,
    enlist: Enlist,
) -> None:
    reporting = Reporting(enlist())
    with pytest.raises(KeyError), reporting.taking_long():
        assert told(watched) == [f"WATCHDOG_USEC={LONG}"]
        raise KeyError
    assert told(watched) == ["WATCHDOG_USEC=300000000\nWATCHDOG=1"]


def test_without_a_service_manager_nothing_is_looked_up(enlist: Enlist, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC"):
        monkeypatch.delenv(name, raising=False)
    hive = enlist()
    hive.store.close()
    hive.settings.database.unlink()
    reporting = Reporting(hive)
    reporting.goes_round()
    reporting.looked()
    assert not hive.settings.database.exists()


def test_the_fleet_in_a_line_counts_what_needs_somebody(enlist: Enlist) -> None:
    hive = enlist()
    said = [status(hive)]
    enlist("coder", "tester")
    for number in range(3):
        with hive.store.write() as db:
            needs.put(db, Need("crash", str(number), "coder", f"It crashed {number}.", "hive status coder", None, 1))
        said.append(status(hive))
    assert said == [
        "0 agents, nothing needs you", "2 agents, 1 needs you", "2 agents, 2 need you", "2 agents, 3 need you",
    ]  # fmt: skip
