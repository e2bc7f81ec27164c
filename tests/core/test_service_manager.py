"""What hive and a service manager tell each other, as sd_notify(3) and sd-daemon(3) say."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hive_core import service_manager
from hive_core.service_manager import ERROR, WARNING


@pytest.mark.parametrize("abstract", [False, True])
def test_what_is_told_arrives_as_lines_of_one_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, abstract: bool
) -> None:
    address = f"@hive-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1) if abstract else address)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        assert service_manager.is_listening()
        service_manager.notify("READY=1", "STATUS=2 agents")
        assert manager.recv(4096) == b"READY=1\nSTATUS=2 agents"


@pytest.mark.parametrize("address", [None, "", "nonsense", "/nonexistent/notify"])
def test_where_nobody_listens_nothing_happens(monkeypatch: pytest.MonkeyPatch, address: str | None) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if address is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", address)
    service_manager.notify("READY=1")


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for _ in range(2000):
            service_manager.notify("WATCHDOG=1")
        assert manager.recv(4096) == b"WATCHDOG=1"


@pytest.mark.parametrize(
    ("said", "meant_for", "expected"),
    [
        ("30000000", None, 30_000_000),
        # This process, whose id the name of a test must not hold: every worker has another.
        ("30000000", "own", 30_000_000),
        # It was set for a process before this one.
        ("30000000", "1", None),
        ("soon", None, None),
        ("", None, None),
        (None, None, None),
    ],
)
def test_a_watchdog_counts_for_whom_it_was_set(
    monkeypatch: pytest.MonkeyPatch, said: str | None, meant_for: str | None, expected: int | None
) -> None:
    for name, value in (("WATCHDOG_USEC", said), ("WATCHDOG_PID", meant_for)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, str(os.getpid()) if value == "own" else value)
    assert service_manager.watchdog() == expected


def test_a_stream_goes_to_the_journal_only_if_it_is_the_one_that_was_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "log").open("w") as stream, (tmp_path / "other").open("w") as other:
        assert not service_manager.journal_reads(stream)
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        assert service_manager.journal_reads(stream)
        assert not service_manager.journal_reads(other)
        assert not service_manager.journal_reads(None)
    assert not service_manager.journal_reads(stream)


def test_each_line_has_its_priority() -> None:
    assert service_manager.marked("a\nb", ERROR) == "<3>a\n<3>b"
    assert service_manager.marked("a", WARNING) == "<4>a"
    assert service_manager.marked("a\nb", "") == "a\nb"
