"""A page's server with two kinds of connections: of those who have shown the key, and of strangers, who make room."""

from __future__ import annotations

import errno
import select
import socket
import sys
import threading
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, ClassVar

from hive_agent import LOOPBACK
from hive_agent.page.parting import hang_up, part

_LOOPBACK_6 = "::1"
# A machine, or a container, without IPv6.
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


class AdmittingServer(ThreadingMixIn, TCPServer):
    """The server, bound to an address. Raises OSError when it cannot be.

    On 127.0.0.1 it has the port of ::1, too: to a browser `localhost` is both, and what another served there would be
    taken for this page.

    most_strangers: connections at once of those who have not shown the key; the oldest of these has to go.
    most_known: of those who have, whom no stranger drives out. called: what its errors are told by. no_news: the errors
    of a connection that nobody needs to hear of.
    """

    daemon_threads = True
    allow_reuse_address = True
    most_strangers: ClassVar[int]
    most_known: ClassVar[int]
    called: ClassVar[str]
    # A browser that closes a tab is no news.
    no_news: ClassVar[tuple[type[Exception], ...]] = (ConnectionError, TimeoutError)

    def __init__(self, address: tuple[str, int], handler: Any) -> None:
        self._strangers: dict[socket.socket, None] = {}
        self._known: set[socket.socket] = set()
        self._counting = threading.Lock()
        self._ready = select.epoll()
        self._beside: socket.socket | None = None
        super().__init__(address, handler)

    def server_bind(self) -> None:
        super().server_bind()
        # As an HTTPServer has them, which asks the resolver for this machine's name, and that may take long.
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        if self.server_name == LOOPBACK:
            self._beside = _on_ipv6(self.server_port)

    def server_activate(self) -> None:
        for listening in filter(None, (self.socket, self._beside)):
            listening.listen(self.request_queue_size)
            self._ready.register(listening, select.EPOLLIN)

    def fileno(self) -> int:
        """What is readable when either is."""
        return self._ready.fileno()

    def get_request(self) -> tuple[socket.socket, Any]:
        for ready, _ in self._ready.poll(0):
            listening = self.socket if self._beside is None or ready == self.socket.fileno() else self._beside
            return listening.accept()
        raise BlockingIOError

    def server_close(self) -> None:
        super().server_close()
        self._ready.close()
        if self._beside is not None:
            self._beside.close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._counting:
            self._strangers[request] = None
            oldest = next(iter(self._strangers)) if len(self._strangers) > self.most_strangers else None
        if oldest is not None:
            hang_up(oldest)
        super().process_request(request, client_address)

    def know(self, request: socket.socket) -> bool:
        """Move a connection to those that have shown the key; False when these are too many."""
        with self._counting:
            self._strangers.pop(request, None)
            self._known.add(request)
            return len(self._known) <= self.most_known

    def shutdown_request(self, request: Any) -> None:
        self.end_request(request)
        with self._counting:
            self._strangers.pop(request, None)
            self._known.discard(request)

    def end_request(self, request: Any) -> None:
        """Close a connection that was served: a stranger's so that it keeps nobody else from the page."""
        if request in self._known:
            super().shutdown_request(request)
        else:
            part(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        error = sys.exc_info()[1]
        if not isinstance(error, self.no_news):
            sys.stderr.write(f"{self.called}: {error!r}\n")


def _on_ipv6(port: int) -> socket.socket | None:
    """A socket that has this port of ::1; None on a machine without IPv6. Raises OSError."""
    try:
        beside = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError as error:
        if error.errno in _NO_IPV6:
            return None
        raise
    try:
        beside.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        beside.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        beside.bind((_LOOPBACK_6, port))
    except OSError as error:
        beside.close()
        if error.errno in _NO_IPV6:
            return None
        raise
    return beside
