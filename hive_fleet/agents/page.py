"""An agent's own page: where it is, and the key to it.

Any process of the machine could listen on the port. So before the key is shown or sent, whoever listens there has to
prove that it has the key already.
"""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import time
from dataclasses import dataclass, replace
from http import HTTPStatus

from hive_agent import LOOPBACK
from hive_agent.page.door import private_name
from hive_agent.page.shield import prove
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.agents import table
from hive_fleet.home import ports

# How many seconds the proof, or what a page is to do, may take, and how many bytes the answer may have.
PROOF_SECONDS, LONGEST_ANSWER = 10.0, 4096


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where a page is served, and the key that it asks for. name: what it is opened by, where that is not its host."""

    host: str
    port: int
    key: str
    name: str | None = None

    @property
    def link(self) -> str:
        """What the operator opens; the key stands behind the '#', where no browser sends it to a server."""
        return f"http://{self.name or self.host}:{self.port}/#key={self.key}"


def reach_page(hive: Hive, name: str) -> PageAddress:
    """Where an agent's page is, and its key. Raises Refused unless the agent itself is who listens there."""
    with hive.store.read() as db:
        if table.one(db, name)["runner"] == "command":
            raise Refused(f"{name} runs a command of its own, and has no page.", f"`hive journal {name}` shows it.")
    key, port = hive.host.page_key(name), ports.of(hive, name)
    if key is None:
        raise Refused(f"{name} is not running, so it has no page.", f"`hive start {name}` starts it.")
    listening = hive.host.listeners([port]).get(port)
    if not listening:
        raise Refused(f"{name} serves no page on port {port} (yet).", f"`hive journal {name}` may say why.")
    host = hive.host.page_host(name)
    address = PageAddress(host, port, key, private_name(key) if host == LOOPBACK else None)
    proven = _has_key(address)
    if proven is None:
        # The harness of an older hive, which knows no private names.
        address = replace(address, name=None)
        proven = _has_key(address)
    if not proven:
        users = " and ".join(f"user {uid}" for uid in sorted(listening))
        raise Refused(
            f"{name} has no page: its port {port} is held by another process, of {users}.",
            f"End that one, or write another number to {hive.agent_path(name) / 'port'}; then `hive restart {name}`.",
        )
    return address


def post(page: PageAddress, path: str) -> bool:
    """Have a page do something; whether it has. It may be of an older hive, which does not know how."""
    try:
        status = _exchanged(page, "POST", path, f"{authorization(page)}Content-Length: 0\r\n").split(b" ", 2)[1:2]
    except OSError:
        return False
    return status == [b"200"]


def authorization(page: PageAddress) -> str:
    """The header that shows a page its key."""
    return f"Authorization: Bearer {page.key}\r\n"


def request(connection: socket.socket, page: PageAddress, method: str, path: str, headers: str = "") -> None:
    """Ask a page for something; the answer ends with the connection. Raises OSError."""
    host = f"{page.name or page.host}:{page.port}"
    connection.sendall(f"{method} {path} HTTP/1.0\r\nHost: {host}\r\n{headers}\r\n".encode())


def _has_key(address: PageAddress) -> bool | None:
    """Whether whoever serves the port has the key, by a proof that does not reveal it (shield.py).

    None where nothing is served there by that name.
    """
    nonce = secrets.token_hex(32)
    try:
        head, _, body = _exchanged(address, "GET", f"/proof?nonce={nonce}").partition(b"\r\n\r\n")
        if head.split(b" ", 2)[1:2] == [str(HTTPStatus.MISDIRECTED_REQUEST.value).encode()]:
            return None
        answer = json.loads(body)
    except (OSError, ValueError, RecursionError):
        return False
    proof = answer.get("proof") if isinstance(answer, dict) else None
    right = prove(address.key, nonce, address.port).encode()
    return isinstance(proof, str) and hmac.compare_digest(proof.encode("utf-8", "replace"), right)


def _exchanged(page: PageAddress, method: str, path: str, headers: str = "") -> bytes:
    """What is answered, head and all, in so many bytes and seconds for all of it. Raises OSError.

    No HTTP client bounds more than the wait for each piece, and a byte now and then would keep it waiting for days.
    """
    end = time.monotonic() + PROOF_SECONDS
    with socket.create_connection((page.host, page.port), PROOF_SECONDS) as connection:
        request(connection, page, method, path, headers)
        data = b""
        while len(data) < LONGEST_ANSWER and (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            more = connection.recv(LONGEST_ANSWER)
            if not more:
                break
            data += more
    return data
