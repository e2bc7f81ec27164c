"""What hive and a service manager tell each other, as sd_notify(3) and sd-daemon(3) say; without one, nothing."""

from __future__ import annotations

import os
import socket
from typing import Any

# What journald takes from the beginning of a line (sd-daemon(3)); a line without one is routine.
ERROR, WARNING, NOTICE = "<3>", "<4>", "<5>"


def notify(*said: str) -> None:
    """Tell whoever started this process, as in `notify("READY=1")`. It costs nothing, and nobody waits for it."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.connect(f"\0{address[1:]}" if address[0] == "@" else address)
            sender.send("\n".join(said).encode())
        except OSError:
            return  # It is gone, or has too much to read: there is nobody to tell that to.


def is_listening() -> bool:
    """Whether anybody wants to be told."""
    return "NOTIFY_SOCKET" in os.environ


def watchdog() -> int | None:
    """Microseconds without a word after which this process counts as stuck; None where nobody waits for one."""
    said, meant_for = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    return int(said) if said.isdecimal() and meant_for in ("", str(os.getpid())) else None


def journal_reads(stream: Any) -> bool:
    """Whether what is written to a stream goes to the journal, which has a clock and priorities of its own."""
    kept = os.environ.get("JOURNAL_STREAM")
    if kept is None:
        return False
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return kept == f"{status.st_dev}:{status.st_ino}"


def marked(text: str, priority: str) -> str:
    """A text with its priority before each of its lines."""
    return "\n".join(f"{priority}{line}" for line in text.split("\n")) if priority else text
