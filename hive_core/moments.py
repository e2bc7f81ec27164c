"""Moments as a person gives them: a date, a time of day, or how long ago."""

from __future__ import annotations

import re
import time
from typing import Annotated, NamedTuple

from hive_core.arguments import FREE, Kind
from hive_core.errors import Invalid

_AGO = re.compile(r"(\d{1,9})\s*(s|sec|min|m|h|d|w)(?:\s+ago)?")
_SECONDS = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_CLOCK = re.compile(r"\d{1,2}:\d\d(?::\d\d)?")
HOW = "Give 2h, 30min or 3d (ago), 14:30, today, yesterday, 2026-01-31, or 2026-01-31T14:30:00Z."


class Moment(NamedTuple):
    """A moment. at: unix seconds."""

    at: float


def moment(value: object) -> Moment:
    """Read a moment: how long ago it was, a time of day, a day, or a date with a time. Without a zone it is local."""
    text = value.strip() if isinstance(value, str) else ""
    now = time.time()
    if found := _AGO.fullmatch(text):
        return Moment(now - int(found[1]) * _SECONDS[found[2]])
    days = {"today": 0, "yesterday": 1}
    today = time.strftime("%Y-%m-%d", time.localtime(now - 86400 * days.get(text, 0)))
    if text in days:
        text = today
    elif _CLOCK.fullmatch(text):
        text = f"{today}T{text:0>5}" if text.count(":") == 1 else f"{today}T{text:0>8}"
    from datetime import datetime

    try:
        return Moment(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        raise Invalid(f"{ascii(value)[:80]} is no moment.", HOW) from None


def seq_or_moment(value: object) -> int | Moment:
    """Read the number of an event, or a moment."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if isinstance(value, str) and re.fullmatch(r"\d{1,18}", value.strip()):
        return int(value)
    try:
        return moment(value)
    except Invalid as error:
        raise Invalid(f"{ascii(value)[:80]} is neither the seq of an event nor a moment.", error.hint) from None


GivenMoment = Annotated[Moment, Kind(moment, {"type": "string", "maxLength": 40}, "TIME", FREE)]
SeqOrMoment = Annotated[
    int | Moment, Kind(seq_or_moment, {"type": ["integer", "string"], "maxLength": 40}, "SEQ|TIME", FREE)
]
