"""The door of a page on this machine's loopback: who may come in, and what every answer tells the browser.

Every process of the machine can reach a page, agents' too, so loopback is no protection. Nothing is said and nothing
done without a key. It travels in a header, never in a cookie: a browser sends the cookies of 127.0.0.1 to each of its
ports, and so to every agent whose page is looked at. One door for the agent's own page and for that of the fleet.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus

from hive_agent.errors import AgentError
from hive_agent.page import shield

# What a browser is told with every answer: nothing is loaded from elsewhere, nothing is framed, nothing is kept.
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
    " connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_HTTP = 80
# Wrong keys of one address within a minute that are each told what is wrong; the next are only told to wait.
MOST_WRONG, WITHIN = 20, 60.0
# Addresses whose wrong keys are counted; the one that tried longest ago is forgotten.
MOST_ADDRESSES = 1000


class Denied(AgentError):
    """A request that is not answered. status: HTTP's word for why."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


def authority(name: str, port: int) -> str:
    """As a browser writes it in the header Host: without the port that goes without saying."""
    return name if port == _HTTP else f"{name}:{port}"


def private_name(key: str) -> str:
    """A name of this machine that no page but the one with this key has ever been opened by; it does not tell the key.

    While a page was down, any process may have had its port, and what a browser keeps of an origin (a service worker,
    a file said to be fresh for a year) would go on answering for the page, and be given its new key. A browser leads
    every name that ends in `.localhost` to this machine, and keeps nothing for one that it has never seen.
    """
    # Not before somebody asks, as in shield.py.
    import hashlib
    import hmac

    return f"{hmac.new(key.encode(), b'name', hashlib.sha256).hexdigest()[:32]}.localhost"


class Door:
    """Lets in whoever names the page as it is served and shows a key.

    keys: gives those that there are now, key -> what it opens, a word that `admit` returns; none lets nobody in. port:
    where it is served, also as the private name of each key.
    hosts: what the page is served as, `name:port`. origins: the pages that may use it, `scheme://name:port`; by default
    `http://` and each of the hosts. where: the command that prints the link with the key.
    """

    def __init__(
        self,
        keys: Callable[[], Mapping[str, str]],
        port: int,
        hosts: Iterable[str],
        where: str,
        origins: Iterable[str] | None = None,
    ) -> None:
        self._keys, self._port, self._where = keys, port, where
        self.hosts = frozenset(hosts)
        self.origins = frozenset(f"http://{host}" for host in self.hosts) if origins is None else frozenset(origins)
        self._wrong: dict[str, deque[float]] = {}
        self._counting = threading.Lock()

    def check_names(self, hosts: list[str], origins: list[str]) -> None:
        """Refuse what comes by another name (DNS rebinding) or from another page: the headers Host and Origin, each."""
        private = {authority(private_name(key), self._port) for key in self._keys()}
        if hosts not in [[host] for host in self.hosts | private]:
            raise Denied(HTTPStatus.MISDIRECTED_REQUEST, "This page is not served under that name.")
        if not set(origins) <= self.origins | {f"http://{host}" for host in private}:
            raise Denied(HTTPStatus.FORBIDDEN, "Another page may not use this one.")

    def admit(self, authorization: str, address: str) -> str:
        """What the key in the header Authorization opens. Raises Denied.

        Wrong keys of an address are counted. That never keeps out who has the right one, from the same address, too.
        """
        opens = self.opens(authorization)
        if opens is not None:
            return opens
        if authorization.removeprefix("Bearer ") and self._too_many(address):
            raise Denied(HTTPStatus.TOO_MANY_REQUESTS, "Too many wrong keys came from there; wait a minute.")
        raise Denied(HTTPStatus.UNAUTHORIZED, f"This page needs its key: `{self._where}` prints the link with it.")

    def opens(self, authorization: str) -> str | None:
        """What the key in the header Authorization opens now; None for what is no key."""
        import hmac

        given = authorization.removeprefix("Bearer ").encode("utf-8", "replace")
        for key, opens in self._keys().items():
            if key and hmac.compare_digest(given, key.encode()):
                return opens
        return None

    def prove(self, nonce: str, port: int) -> str:
        """What shows that this is the page whose first key the asker has, without either side giving it away."""
        return shield.prove(next(iter(self._keys()), ""), nonce, port)

    def _too_many(self, address: str) -> bool:
        now = time.monotonic()
        with self._counting:
            # The newest is kept last, so that the first is the one to forget.
            wrong = self._wrong.pop(address, deque(maxlen=MOST_WRONG + 1))
            wrong.append(now)
            self._wrong[address] = wrong
            while len(self._wrong) > MOST_ADDRESSES:
                del self._wrong[next(iter(self._wrong))]
            return len(wrong) > MOST_WRONG and now - wrong[0] < WITHIN
