"""The broadcaster without a hive: what each page is told, in order, and what it costs when one does not read."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from hive_core.client import Client
from status_page import broadcaster as under_test
from status_page.broadcaster import Broadcaster
from tests.hives import PATIENCE


class Events:
    """Plays the operator's socket: the state has a seq, and what follows is what the test says."""

    def __init__(self, path: Path, seq: int) -> None:
        self.path, self.seq = path, seq
        self._followed: list[socket.socket] = []
        self._open: list[socket.socket] = []
        self._following = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                self._open.append(self._socket.accept()[0])
                # Who has hung up at once is answered in vain.
                with suppress(OSError):
                    self._answer(self._open[-1])

    def _answer(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as lines:
            asked = json.loads(lines.readline() or '{"op": null}')
        self._line(connection, {"ok": True, "result": {"seq": self.seq}})
        if asked["op"] == "events":
            self._followed.append(connection)
            self._following.set()

    @staticmethod
    def _line(connection: socket.socket, value: Any) -> None:
        connection.sendall(json.dumps(value).encode() + b"\n")

    def tell(self, *seqs: int, kind: str = "started", **fields: Any) -> None:
        """Have events happen."""
        assert self._following.wait(PATIENCE)
        for seq in seqs:
            self._line(self._followed[-1], {"kind": kind, "seq": seq, **fields})

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for connection in (self._socket, *self._open):
            connection.close()


class Tab:
    """A page's end of its stream."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.ours.settimeout(PATIENCE)
        self._pending = b""

    def next(self) -> tuple[str, Any, int | None]:
        """The next event: its kind, its data, and its id where it has one. Signs of life are passed over."""
        while True:
            while b"\n\n" not in self._pending:
                data = self.ours.recv(65536)
                if not data:
                    raise ConnectionResetError
                self._pending += data
            block, self._pending = self._pending.split(b"\n\n", 1)
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n"))
            if "event" in fields:
                number = int(fields["id"]) if "id" in fields else None
                return fields["event"], json.loads(fields["data"]), number

    def until(self, kind: str) -> Any:
        """The data of the next event of a kind."""
        while (told := self.next())[0] != kind:
            continue
        return told[1]

    def seqs(self, count: int) -> list[int | None]:
        """The ids of the next events that have one."""
        found: list[int | None] = []
        while len(found) < count:
            number = self.next()[2]
            found += [] if number is None else [number]
        return found


@pytest.fixture
def hive(tmp_path: Path) -> Iterator[Events]:
    made = Events(tmp_path / "host.sock", seq=5)
    yield made
    made.close()


@pytest.fixture
def casting(hive: Events) -> Iterator[Broadcaster]:
    made = Broadcaster(Client(hive.path))
    made.start()
    yield made
    made.close()


@pytest.fixture
def tab() -> Iterator[Callable[..., Tab]]:
    """Makes tabs that a broadcaster has taken."""
    tabs: list[Tab] = []

    def make(casting: Broadcaster, last: int | None = None, history: str = "", welcome: bool = True) -> Tab:
        tabs.append(Tab())
        assert casting.take(tabs[-1].theirs, last, history, lambda: welcome)
        return tabs[-1]

    yield make
    for each in tabs:
        each.ours.close()


def passed_on(hive: Events, casting: Broadcaster, tab: Callable[..., Tab], *seqs: int, **fields: Any) -> Tab:
    """Have events happen, and wait until they have been passed on; who saw them."""
    witness = tab(casting, last=0)
    # Greeted after them it would be told all anew, and none of them.
    witness.until("resync")
    hive.tell(*seqs, **fields)
    while witness.next()[2] != seqs[-1]:
        continue
    return witness


def test_every_page_is_told_each_event_in_order_from_when_it_came(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab]
) -> None:
    first = passed_on(hive, casting, tab, 6, 7)
    second = tab(casting)
    passed_on(hive, casting, tab, 8)
    assert first.seqs(1) == second.seqs(1) == [8]
    assert casting.counted().seq == 8


def test_who_comes_back_is_told_what_it_lacks_and_nothing_twice(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab]
) -> None:
    passed_on(hive, casting, tab, 6, 7, 8)
    lacking, up_to_date = tab(casting, last=6), tab(casting, last=8, history=casting.history)
    passed_on(hive, casting, tab, 9)
    assert lacking.seqs(3) == [7, 8, 9]
    assert up_to_date.seqs(1) == [9]


def test_who_lacks_more_than_is_kept_is_told_to_begin_anew(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "KEPT", 2)
    passed_on(hive, casting, tab, 6, 7, 8, 9)
    assert tab(casting, last=6).next() == ("resync", {"seq": 9}, None)
    assert tab(casting, last=7).seqs(2) == [8, 9]


def test_a_number_of_another_history_is_none_of_this_one(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab]
) -> None:
    passed_on(hive, casting, tab, 6)
    assert tab(casting, last=6, history="another.1").next() == ("resync", {"seq": 6}, None)
    # One that does not say, and is ahead of all that was heard.
    assert tab(casting, last=9).next() == ("resync", {"seq": 6}, None)
    # One that has just asked hive itself, of the same history, may be.
    ahead = tab(casting, last=7, history=casting.history)
    hive.tell(7, 8)
    assert ahead.seqs(1) == [8]


def test_when_all_begins_anew_whoever_has_not_just_loaded_it_is_told(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab]
) -> None:
    old = passed_on(hive, casting, tab, 6)
    before = casting.history
    hive.tell(9, kind="resync")
    assert old.until("resync")["seq"] == 9
    assert casting.history != before
    assert tab(casting, last=6, history=before).next()[0] == "resync"
    passed_on(hive, casting, tab, 10)
    assert old.seqs(1) == [10]


def test_a_page_that_does_not_read_is_hung_up_on_and_costs_the_others_nothing(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "MOST_BEHIND", 100_000)
    quick = passed_on(hive, casting, tab, 6)
    slow = tab(casting, last=6)
    for number in range(7, 40):
        hive.tell(number, body="x" * 50_000)
        assert quick.seqs(1) == [number]
    with pytest.raises(ConnectionResetError):
        slow.seqs(40)
    assert casting.counted().hung_up == 1


def test_a_page_that_hangs_up_is_forgotten(hive: Events, casting: Broadcaster, tab: Callable[..., Tab]) -> None:
    stays, gone = tab(casting), tab(casting)
    passed_on(hive, casting, tab, 6).ours.close()
    gone.ours.close()
    seq = 6
    while casting.counted().pages > 1:
        seq += 1
        hive.tell(seq)
        stays.seqs(1)


def test_more_pages_than_there_is_room_for_are_not_taken(
    casting: Broadcaster, tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(under_test, "MOST_PAGES", 1)
    tab(casting)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert not casting.take(theirs, None, "", lambda: True)


def test_who_is_no_longer_welcome_is_shown_out(
    hive: Events, tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every round is one in which it is asked.
    monkeypatch.setattr(under_test, "HEARTBEAT", 0.0)
    made = Broadcaster(Client(hive.path))
    made.start()
    with pytest.raises(ConnectionResetError):
        tab(made, welcome=False).seqs(1)
    passed_on(hive, made, tab, 6)
    made.close()


def test_a_hive_that_falls_silent_is_told_of_and_so_is_its_return(
    hive: Events, casting: Broadcaster, tab: Callable[..., Tab], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = passed_on(hive, casting, tab, 6)
    monkeypatch.setattr(under_test, "SILENCE", 0.0)
    late = tab(casting)
    assert one.until("away") == {"why": "hive has fallen silent."}
    assert late.until("away") == {"why": "hive has fallen silent."}
    monkeypatch.undo()
    hive.tell(7, kind="heartbeat")
    assert one.until("here") == {}
    assert casting.away is None


def test_what_is_no_event_is_passed_over(hive: Events, casting: Broadcaster, tab: Callable[..., Tab]) -> None:
    one = passed_on(hive, casting, tab, 6)
    hive.tell(7, kind="heartbeat")
    hive.tell(7)
    assert one.next() == ("started", {"kind": "started", "seq": 7}, 7)


def test_before_the_first_word_a_page_is_told_that_hive_is_away(tmp_path: Path, tab: Callable[..., Tab]) -> None:
    made = Broadcaster(Client(tmp_path / "host.sock"))
    made.start()
    waiting = tab(made, last=3)
    assert waiting.next() == ("away", {"why": "hive was not asked yet."}, None)
    hive = Events(tmp_path / "host.sock", seq=5)
    assert waiting.until("resync") == {"seq": 5}
    assert waiting.until("here") == {}
    # At the end every page is hung up on.
    made.close()
    with pytest.raises(ConnectionResetError):
        waiting.seqs(1)
    hive.close()
