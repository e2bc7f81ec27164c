"""Times, sizes, counts and names as a person says and sorts them."""

from __future__ import annotations

import re
import time

_DIGITS = re.compile(r"(\d+)")


def span(seconds: float) -> str:
    """A length of time in one unit, rounded down: '12 s', '3 min', '5 h', '2 d'; a negative one is '0 s'."""
    whole = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if whole >= length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def elapsed(at: float) -> float:
    """Seconds since a moment. at: unix seconds."""
    return time.time() - at


def ago(at: float) -> str:
    """How long ago a moment was, in one unit. at: unix seconds."""
    return span(elapsed(at))


def clock(at: float) -> str:
    """The time of day; with the date when it was not today. at: unix seconds."""
    then = time.localtime(at)
    today = then[:3] == time.localtime()[:3]
    return time.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S", then)


def iso(at: float) -> str:
    """A moment as a journal has it, to a millisecond, in UTC. at: unix seconds."""
    thousandths = int(max(0.0, at) * 1000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(thousandths // 1000))}.{thousandths % 1000:03d}Z"


def size(count: float) -> str:
    """A number of bytes, in the largest fitting unit of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def count(number: int, what: str) -> str:
    """A number of things: '1 agent', '2 agents'."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def natural(name: str) -> list[str | int]:
    """What to sort names by so that w2 comes before w10."""
    # Split at groups of digits, text and numbers alternate and text is first: like is compared with like.
    return [int(part) if number % 2 else part for number, part in enumerate(_DIGITS.split(name))]


def shorter(text: str, most: int) -> str:
    """A text of one line in at most `most` characters, with an ellipsis where it was cut."""
    flat = " ".join(text.split())
    return flat if len(flat) <= most else f"{flat[: most - 1]}…"
