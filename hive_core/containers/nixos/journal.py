"""A container's journal, read from its own folder: it is there whether the container runs or not."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hive_core.process import run
from hive_core.signals import readable


def read(folder: Path, lines: int, units: Sequence[str] = (), since: float = 0.0) -> list[str]:
    """The last lines, oldest first: time, space, what was written."""
    return [_line(entry) for entry in _entries(folder, units, f"--lines={lines}", *_since(since))] if lines > 0 else []


def follow(folder: Path, lines: int, units: Sequence[str] = ()) -> Iterator[str]:
    """As `read`, then every further line as it comes; ends when the folder is gone."""
    from inotify_simple import INotify, flags

    with INotify() as watch:
        # A journal is in a folder of the machine's id; that comes with the first line.
        seen: set[Path] = set()
        cursor = ""
        entries = _entries(folder, units, f"--lines={lines}") if lines > 0 else []
        while folder.parent.is_dir():
            for place in {folder.parent, folder, *folder.glob("*/")} - seen:
                if place.is_dir():
                    watch.add_watch(str(place), flags.MODIFY | flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF)
                    seen.add(place)
            entries += _entries(
                folder, units, *([f"--after-cursor={_cursor(entries, cursor)}"] if entries or cursor else [])
            )
            yield from map(_line, entries)
            cursor, entries = _cursor(entries, cursor), []
            readable([watch.fileno()])
            watch.read(timeout=0)


def _cursor(entries: list[dict[str, Any]], before: str) -> str:
    return str(entries[-1]["__CURSOR"]) if entries else before


def _since(moment: float) -> list[str]:
    return [f"--since=@{moment:.6f}"] if moment > 0 else []


def _entries(folder: Path, units: Sequence[str], *options: str) -> list[dict[str, Any]]:
    if not folder.is_dir():
        return []
    # What they wrote themselves: --unit= has what systemd says of them, too.
    chosen = [f"_SYSTEMD_UNIT={unit}" for unit in units]
    asked = ["--output=json", "--output-fields=MESSAGE", "--no-pager", "--quiet"]
    argv = ["journalctl", f"--directory={folder}", *asked, *options, *chosen]
    # Not `splitlines`: other characters that end a line for Python stand in a text as they are.
    found = [json.loads(line) for line in run(argv, timeout=60.0).stdout.split("\n") if line]
    return [entry for entry in found if "MESSAGE" in entry]


def _line(entry: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(int(entry["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    text = " ".join(_text(entry["MESSAGE"]).splitlines())
    return f"{at.isoformat(timespec='milliseconds').replace('+00:00', 'Z')} {text}"


def _text(message: Any) -> str:
    """What was written (systemd's Journal JSON Format). What is no text comes as numbers, what is too long as null, and
    what was given several times, as any program may, as an array of these."""
    if isinstance(message, str):
        return message
    if isinstance(message, list) and not all(isinstance(item, int) for item in message):
        return "\n".join(map(_text, message))
    return bytes(message or b"").decode(errors="replace")
