"""Be a command of hive, and write down when it waited for programs, and what it computed itself.

`noted_hive.py FILE ARGUMENT...` writes {"spans": [[begin, end], ...], "processor": seconds}.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hive_core import program_output

Span = tuple[float, float]


def noted(read: Callable[..., Any], spans: list[Span]) -> Callable[..., Any]:
    """As `read`, which waits for a program, with the span of each call kept."""

    def noting(*arguments: Any) -> Any:
        begin = time.perf_counter()
        try:
            return read(*arguments)
        finally:
            spans.append((begin, time.perf_counter()))

    return noting


def busy(spans: list[Span]) -> float:
    """How long at least one of them lasted."""
    total, until = 0.0, 0.0
    for begin, end in sorted(spans):
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def main() -> None:
    from hive_faces.shell import cli

    _, target, *sys.argv[1:] = sys.argv
    spans: list[Span] = []
    program_output.read = noted(program_output.read, spans)
    try:
        cli.main()
    finally:
        Path(target).write_text(json.dumps({"spans": spans, "processor": time.process_time()}))


if __name__ == "__main__":
    main()
