"""A page's server with two kinds of connections: of those who have shown the key, and of strangers, who make room."""

from __future__ import annotations

import socket
import sys
import threading
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any, ClassVar

from hive_agent.page.parting import hang_up, part


class AdmittingServer(ThreadingHTTPServer):
    """The server, bound to an address. Raises OSError when it cannot be.

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
        super().__init__(address, handler)

    def server_bind(self) -> None:
        # Not HTTPServer's: that asks the resolver for this machine's name, which may take long.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[0], self.server_address[1]  # type: ignore[assignment]

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
