"""What keeps the harness's own affairs from the agent's programs, which run as the same user in the same container.

Whoever has the key of the agent's page can do there what a human can. So the harness cannot be looked into or traced
by processes of its user, and the key comes to it by a way that leaves no copy behind.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import MutableMapping

from hive_agent.errors import AgentError

# What the nonce of a challenge must look like: chosen by who asks, so large that none is chosen twice.
NONCE = re.compile(r"[0-9a-f]{32,128}", re.ASCII)
PAGE_TOKEN = "HIVE_PAGE_TOKEN"  # noqa: S105 - the name of the variable
PAGE_TOKEN_FD = "HIVE_PAGE_TOKEN_FD"  # noqa: S105 - likewise
LONGEST_KEY = 4096
_PR_SET_DUMPABLE = 4  # prctl(2)


def close_to_others() -> None:
    """Deny other processes of this user this one's memory, environment and descriptors (ptrace(2), proc(5)).

    It holds until the next exec, so not for the programs that are started. Raises AgentError.
    """
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise AgentError(f"The harness cannot be closed to other processes: {os.strerror(ctypes.get_errno())}.")


def take_page_key(environ: MutableMapping[str, str]) -> str | None:
    """Take the key of the agent's page out of where it was given; None where none was.

    From the descriptor that `$HIVE_PAGE_TOKEN_FD` numbers, up to its end: what is read there is nowhere any more, and
    the descriptor leads to /dev/null from then on. Else from `$HIVE_PAGE_TOKEN`, for containers that have no other
    way. Raises AgentError for a descriptor that cannot be read.
    """
    given, descriptor = environ.pop(PAGE_TOKEN, None), environ.pop(PAGE_TOKEN_FD, "")
    if not descriptor:
        return given or None
    if not (descriptor.isascii() and descriptor.isdigit() and len(descriptor) < 6):
        raise AgentError(f"{PAGE_TOKEN_FD} is not a descriptor's number.")
    try:
        return _drained(int(descriptor)) or None
    except (OSError, ValueError) as error:
        raise AgentError(f"The page's key cannot be read from descriptor {descriptor}: {error}.") from error


def prove(key: str, nonce: str, port: int) -> str:
    """What only who has the page's key can answer to a nonce: HMAC-SHA256 in hex, over the nonce and the page's port.

    The port, so that whoever took a page's place cannot have the page itself answer for it, at another port.
    """
    # Not before somebody asks: they load a library for it, and few pages are ever opened.
    import hashlib
    import hmac

    return hmac.new(key.encode(), f"{nonce} {port}".encode(), hashlib.sha256).hexdigest()


def _drained(descriptor: int) -> str:
    data = b""
    while len(data) <= LONGEST_KEY and (more := os.read(descriptor, LONGEST_KEY)):
        data += more
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)
    return data.decode("ascii").strip()
