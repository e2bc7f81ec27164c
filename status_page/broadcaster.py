"""The stream of events to every open page: one thread and one epoll, whoever reads slowly costing nobody anything.

One follower takes hive's events in order and keeps the newest as they are sent. A page that comes back names the last
one it had, and gets all that came after it; what is no longer kept is answered with `resync`, after which the page asks
for everything again.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from hive_core.client import Client

# Events that are kept for who comes back.
KEPT = 10_000
# Bytes that a page may be behind by before it is hung up on; it comes back and gets what it lacks.
MOST_BEHIND = 4 << 20
# Bytes that the kernel keeps of what a page has not read; of itself it would grow to megabytes.
UNSENT = 128 << 10
# Seconds between two signs of life.
HEARTBEAT = 10.0
# Seconds without a word from hive, which says something every ten, after which it is away.
SILENCE = 25.0
# Pages at once.
MOST_PAGES = 4000


class _Page:
    """One open page: its socket, what it came with, and what it is yet to be sent.

    told: whether it was told an event.
    """

    def __init__(self, connection: socket.socket, last: int | None, history: str, welcome: Callable[[], bool]) -> None:
        self.socket, self.last, self.history, self.welcome = connection, last, history, welcome
        self.told = False
        self.waiting: deque[bytes] = deque()
        self.behind = 0

    def add(self, frame: bytes) -> bool:
        """Have a frame sent; False when too much waits already."""
        self.waiting.append(frame)
        self.behind += len(frame)
        return self.behind <= MOST_BEHIND

    def send(self) -> bool:
        """Send what the socket takes now; whether all is sent. Raises OSError when the page is gone."""
        while self.waiting:
            data = self.waiting[0]
            sent = self.socket.send(data)
            self.behind -= sent
            if sent < len(data):
                self.waiting[0] = data[sent:]
                return False
            self.waiting.popleft()
        return True


@dataclass(frozen=True, slots=True)
class Counted:
    """What was done so far. seq: of the newest event that was heard, None before the first word from hive.

    pages: open now. frames: handed to pages. hung_up: on so many slow readers.
    """

    seq: int | None
    pages: int
    frames: int
    hung_up: int


class Broadcaster:
    """Tells every page each event, in order; those from its first connection to hive on are kept."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._heard_at = 0.0
        self._seq: int | None = None
        self._first: int | None = None  # every event after this one is kept; None before the first connection
        self._kept: deque[tuple[int, bytes]] = deque()
        self._arrived: deque[_Page] = deque()
        self._news: deque[tuple[int | None, bytes]] = deque()
        self._pages: dict[int, _Page] = {}
        self._frames = self._hung_up = self._beginnings = 0
        self._name = secrets.token_hex(4)
        self._epoll = select.epoll()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._closing = threading.Event()
        self.away: str | None = "hive was not asked yet."
        self._threads = [
            threading.Thread(target=work, name=name, daemon=True)
            for name, work in {"events": self._follow, "pages": self._serve}.items()
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End both threads and hang up on every page."""
        self._closing.set()
        self._client.close()
        self._ring()
        self._threads[1].join()

    @property
    def history(self) -> str:
        """What names the numbers of the events as they are given now: another after each time that all begins anew."""
        return f"{self._name}.{self._beginnings}"

    def take(self, connection: socket.socket, last: int | None, history: str, welcome: Callable[[], bool]) -> bool:
        """Have a page told everything after `last`, or from now on with None. Takes the socket; False when full.

        history: the one that `last` is a number of, "" where the page does not say. welcome: asked now and then
        whether the page may still be told.
        """
        if self._closing.is_set() or len(self._pages) + len(self._arrived) >= MOST_PAGES:
            return False
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNSENT)
        self._arrived.append(_Page(connection, last, history, welcome))
        self._ring()
        return True

    def counted(self) -> Counted:
        return Counted(self._seq, len(self._pages), self._frames, self._hung_up)

    # The follower's thread.

    def _follow(self) -> None:
        with suppress(ConnectionAbortedError):  # The client is closed: so is all of this.
            self._seq = int(self._client.state()["seq"])
            self._tell(self._seq, _frame("resync", {"seq": self._seq}))
            self._alive()
            for event in self._client.events(self._seq, said=True):
                self._alive()
                self._heard(event)

    def _alive(self) -> None:
        """hive has said something."""
        self._heard_at = time.monotonic()
        if self.away is not None:
            self.away = None
            self._tell(None, _frame("here", {}))

    def _heard(self, event: dict[str, Any]) -> None:
        kind, seq = event.get("kind"), event.get("seq")
        if not isinstance(kind, str) or not isinstance(seq, int):
            return  # The answer that the stream begins with.
        if kind == "heartbeat":
            return
        self._seq = seq
        # The word that all has to be loaded again is none that anybody goes on from.
        self._tell(seq, _frame(kind, event, None if kind == "resync" else seq))

    def _tell(self, seq: int | None, frame: bytes) -> None:
        self._news.append((seq, frame))
        self._ring()

    def _ring(self) -> None:
        os.eventfd_write(self._bell, 1)

    # The pages' thread.

    def _serve(self) -> None:
        self._epoll.register(self._bell, select.EPOLLIN)
        beat = time.monotonic() + HEARTBEAT
        while not self._closing.is_set():
            for descriptor, happened in self._epoll.poll(max(0.0, beat - time.monotonic())):
                if descriptor == self._bell:
                    with suppress(BlockingIOError):
                        os.eventfd_read(self._bell)
                elif happened & ~select.EPOLLOUT:
                    self._drop(descriptor)
                else:
                    self._write(self._pages[descriptor])
            self._greet()
            self._pass_on()
            if self.away is None and time.monotonic() - self._heard_at > SILENCE:
                self.away = "hive has fallen silent."
                self._to_all(_frame("away", {"why": self.away}))
            if time.monotonic() >= beat:
                beat = time.monotonic() + HEARTBEAT
                self._show_out()
                # Only what hive itself has said lately is a sign that the page is live.
                if self.away is None:
                    self._to_all(b": still here\n\n")
        for descriptor in list(self._pages):
            self._drop(descriptor)
        while self._arrived:
            self._arrived.popleft().socket.close()
        self._epoll.close()

    def _show_out(self) -> None:
        """Hang up on the pages whose key has been changed."""
        for descriptor, page in list(self._pages.items()):
            if not page.welcome():
                self._drop(descriptor)

    def _pass_on(self) -> None:
        while self._news:
            seq, frame = self._news.popleft()
            if seq is None:
                self._to_all(frame)
            elif frame.startswith(b"event: resync\n"):
                self._begin_anew(seq, frame)
            else:
                self._keep(seq, frame)
                for page in list(self._pages.values()):
                    if page.told or page.last is None or page.last < seq:
                        page.told = True
                        self._to_one(page, frame)

    def _begin_anew(self, seq: int, frame: bytes) -> None:
        """Nothing from before is kept: whoever has not just loaded what is there now has to load it again."""
        self._kept.clear()
        self._first = seq
        self._beginnings += 1
        for page in list(self._pages.values()):
            if page.told or page.last != seq:
                self._to_one(page, frame)

    def _keep(self, seq: int, frame: bytes) -> None:
        self._kept.append((seq, frame))
        if len(self._kept) > KEPT:
            self._first = self._kept.popleft()[0]

    def _greet(self) -> None:
        """Begin with the pages that have come: with all that they lack, or with the word that they lack too much."""
        while self._arrived:
            page = self._arrived.popleft()
            self._pages[page.socket.fileno()] = page
            self._epoll.register(page.socket, select.EPOLLRDHUP)
            for frame in self._lacking(page):
                page.add(frame)
            self._write(page)

    def _lacking(self, page: _Page) -> Iterator[bytes]:
        if self.away is not None:
            yield _frame("away", {"why": self.away})
        if page.last is None:
            return
        newest = self._kept[-1][0] if self._kept else self._first
        if self._first is None or newest is None:
            return  # Nothing is known yet; what is lacking is told by a resync when it is.
        # A page that has asked hive itself a moment ago is ahead of what was heard here; one that does not say of which
        # history its number is may have it from another.
        known = page.history == self.history or (not page.history and page.last <= newest)
        if page.last < self._first or not known:
            yield _frame("resync", {"seq": newest})
            return
        for seq, frame in self._kept:
            if seq > page.last:
                page.told = True
                yield frame

    def _to_all(self, frame: bytes) -> None:
        for page in list(self._pages.values()):
            self._to_one(page, frame)

    def _to_one(self, page: _Page, frame: bytes) -> None:
        self._frames += 1
        if not page.add(frame):
            self._hung_up += 1
            self._drop(page.socket.fileno())
        elif len(page.waiting) == 1:
            self._write(page)

    def _write(self, page: _Page) -> None:
        descriptor = page.socket.fileno()
        try:
            done = page.send()
        except BlockingIOError:
            done = False
        except OSError:
            self._drop(descriptor)
            return
        self._epoll.modify(descriptor, select.EPOLLRDHUP | (0 if done else select.EPOLLOUT))

    def _drop(self, descriptor: int) -> None:
        page = self._pages.pop(descriptor)
        self._epoll.unregister(descriptor)
        page.socket.close()


def _frame(kind: str, value: dict[str, Any], seq: int | None = None) -> bytes:
    """A server-sent event. kind: one of hive's own words, never an agent's."""
    mark = "" if seq is None else f"id: {seq}\n"
    return f"{mark}event: {kind}\ndata: {json.dumps(value, separators=(',', ':'))}\n\n".encode()
