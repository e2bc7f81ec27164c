"""Many tabs that have a stream of events open, in a process of their own: what each was told, and when.

`python -m benchmarks.page_tabs` reads what to open from its first line of standard input, says `open` when all are, and
at the end of its input prints what they have got.
"""

from __future__ import annotations

import json
import random
import re
import select
import socket
import sys
import time
from typing import Any

_BODY = re.compile(rb'"body":"(\d+)"')
_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
# Each so many'th tab says how long every event took to it: to count is enough for the others.
EACH = 10


class Tab:
    """One tab. told: how many events it has got. twice: how many of them had come before, or after a later one."""

    def __init__(self, port: int, head: str) -> None:
        self._port, self._head = port, head
        self._rest = b""
        self.told = self.twice = 0
        self.last: int | None = None
        self.socket = self._open()

    def _open(self) -> socket.socket:
        opened = socket.create_connection(("127.0.0.1", self._port))
        resumed = f"Last-Event-ID: {self.last}\r\n" if self.last is not None else ""
        opened.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\n{self._head}{resumed}\r\n".encode())
        return opened

    def again(self) -> None:
        """Lose the connection, and come back."""
        self.socket.close()
        self._rest = b""
        self.socket = self._open()

    def read(self, delays: list[float] | None) -> None:
        data = self._rest + self.socket.recv(1 << 18)
        whole, end, self._rest = data.rpartition(b"\n\n")
        if not end:
            return
        bodies = _BODY.findall(whole)
        now = time.monotonic_ns()
        if delays is not None:
            delays += [(now - int(body)) / 1e6 for body in bodies]
        for found in _ID.findall(whole):
            number = int(found)
            self.twice += self.last is not None and number <= self.last
            self.last = number
        self.told += len(bodies)


def hold() -> None:
    """Open the tabs, read what comes until all of it is there, and print it."""
    wanted: dict[str, Any] = json.loads(sys.stdin.readline())
    tabs = [Tab(wanted["port"], wanted["head"]) for _ in range(wanted["tabs"])]
    stuck = [Tab(wanted["port"], wanted["head"]) for _ in range(wanted["stuck"])]
    delays: list[float] = []
    epoll = select.epoll()
    epoll.register(sys.stdin, select.EPOLLIN)
    by_number: dict[int, tuple[Tab, list[float] | None]] = {}
    for place, tab in enumerate(tabs):
        tab.read(None)
        by_number[tab.socket.fileno()] = (tab, None if place % EACH else delays)
        epoll.register(tab.socket, select.EPOLLIN)
    print("open", flush=True)
    chance = random.Random(1)
    again = time.monotonic()
    ending = False
    while not ending or any(tab.told < wanted["events"] for tab in tabs):
        for number, _ in epoll.poll(10.0 if ending else -1) or [(-1, 0)]:
            if number == -1:
                ending, wanted["events"] = True, 0  # Nothing has come for long: the rest was lost.
            elif number == sys.stdin.fileno():
                ending = True
                epoll.unregister(sys.stdin)
            else:
                by_number[number][0].read(by_number[number][1])
        if wanted["again"] and time.monotonic() - again > wanted["again"]:
            again = time.monotonic()
            if ready := [tab for tab in tabs if tab.last is not None]:
                tab = chance.choice(ready)
                _, kept = by_number.pop(tab.socket.fileno())
                tab.again()
                by_number[tab.socket.fileno()] = (tab, kept)
                epoll.register(tab.socket, select.EPOLLIN)
    told = {"delays": delays, "told": [tab.told for tab in tabs], "twice": sum(tab.twice for tab in tabs)}
    print(json.dumps(told), flush=True)
    del stuck


if __name__ == "__main__":
    hold()
