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
from dataclasses import dataclass

from hive_agent.page.shield import prove
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.agents import table
from hive_fleet.home import ports

# How many seconds the proof may take, and how many bytes its answer may have.
PROOF_SECONDS, LONGEST_PROOF = 10.0, 4096


@dataclass(frozen=True, slots=True)
class PageAddress:
    """Where a page is served, and the key that it asks for."""

    host: str
    port: int
    key: str


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
    address = PageAddress(hive.host.page_host(name), port, key)
    if not _has_key(address):
        users = " and ".join(f"user {uid}" for uid in sorted(listening))
        raise Refused(
            f"{name} has no page: its port {port} is held by another process, of {users}.",
            f"End that one, or write another number to {hive.agent_path(name) / 'port'}; then `hive restart {name}`.",
        )
    return address


def post(page: PageAddress, path: str) -> bool:
    """Have a page do something; whether it has. It may be of an older hive, which does not know how."""
    from http.client import HTTPConnection, HTTPException

    connection = HTTPConnection(page.host, page.port, timeout=PROOF_SECONDS)
    try:
        connection.request("POST", path, headers={"Authorization": f"Bearer {page.key}", "Content-Length": "0"})
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _has_key(address: PageAddress) -> bool:
    """Whether whoever serves the port has the key, by a proof that does not reveal it (shield.py)."""
    nonce = secrets.token_hex(32)
    try:
        answer = json.loads(_answer(address, f"/proof?nonce={nonce}"))
    except (OSError, ValueError, RecursionError):
        return False
    proof = answer.get("proof") if isinstance(answer, dict) else None
    right = prove(address.key, nonce, address.port).encode()
    return isinstance(proof, str) and hmac.compare_digest(proof.encode("utf-8", "replace"), right)


def _answer(address: PageAddress, path: str) -> bytes:
    """The body of what is answered to a GET, in so many seconds for all of it. Raises OSError.

    No HTTP client bounds more than the wait for each piece, and a byte now and then would keep it waiting for days.
    """
    end = time.monotonic() + PROOF_SECONDS
    with socket.create_connection((address.host, address.port), PROOF_SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {address.host}:{address.port}\r\n\r\n".encode())
        data = b""
        while len(data) < LONGEST_PROOF and (left := end - time.monotonic()) > 0:
            connection.settimeout(left)
            more = connection.recv(LONGEST_PROOF)
            if not more:
                break
            data += more
    return data.partition(b"\r\n\r\n")[2]
