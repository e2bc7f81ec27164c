"""What operations return, as text for a person or JSON for a program; everything from agents is made safe to print."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from hive_core import wire
from hive_core.errors import Exit
from hive_core.text import one_line, safe_json, visible

_COLOURS = {
    "running": "green",
    "approved": "green",
    "pending": "yellow",
    "stopped": "dim",
    "failed": "bold red",
    "denied": "red",
    "False": "red",
}


def show(result: Any, columns: Sequence[str], *, as_json: bool) -> int:
    """Print a result and return the exit code: a row that says `ok: false` makes it 1."""
    if isinstance(result, Iterator):
        _stream(result, as_json=as_json)
    elif as_json:
        print(safe_json(wire.line({} if result is None else result)))
    elif isinstance(result, list) and not columns:
        for line in result:
            print(visible(line))
    elif isinstance(result, list):
        _table(result, columns)
    elif result is not None:
        _paint(visible(_text(result)))
    rows = result if isinstance(result, list) else [result]
    return Exit.REFUSED if any(getattr(row, "ok", True) is False for row in rows) else Exit.DONE


def _stream(items: Iterator[Any], *, as_json: bool) -> None:
    """Print things as they come, each on its line at once, for whoever reads the pipe."""
    # Closed at once, also on Ctrl-C between two items: what the stream holds is put back before hive ends.
    with contextlib.closing(items):  # type: ignore[type-var]
        _print_each(items, as_json=as_json)


def _print_each(items: Iterator[Any], *, as_json: bool) -> None:
    for item in items:
        line = safe_json(wire.line(item)) if as_json else visible(_text(item))
        print(line, flush=True)


def _text(value: Any) -> str:
    for method in ("text", "summary"):
        if hasattr(value, method):
            return str(getattr(value, method)())
    if dataclasses.is_dataclass(value):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return "\n".join(f"{name:<14} {_cell(name, item)}" for name, item in fields if item is not None)
    return str(value)


def _paint(text: str) -> None:
    """Print a text; on a terminal the lines of a diff are coloured as git colours them."""
    if not _coloured():
        print(text)
        return
    from rich.console import Console
    from rich.text import Text

    styles = {"+": "green", "-": "red", "@": "cyan"}
    console, inside = Console(highlight=False, soft_wrap=True), False
    for line in text.splitlines():
        inside = inside or line.startswith("diff --git")
        strong = line.startswith(("diff ", "+++", "---", "  ! "))
        style = "bold" if strong else styles.get(line[:1], "") if inside else ""
        console.print(Text(line, style=style))


def _table(rows: Sequence[Any], columns: Sequence[str]) -> None:
    cells = [[_cell(name, getattr(row, name)) for name in columns] for row in rows]
    heads = [name.replace("_", " ").upper() for name in columns]
    if not cells:
        print("nothing to show", file=sys.stderr)
    elif _coloured():
        _rich_table(heads, cells)
    else:
        widths = [max(len(line[index]) for line in [heads, *cells]) for index in range(len(heads))]
        for line in [heads, *cells]:
            print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def _rich_table(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    for line in cells:
        table.add_row(*(Text(cell, style=_COLOURS.get(cell, "")) for cell in line))
    Console(highlight=False).print(table)


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "age":
        return ago(value)
    if name == "size":
        return size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(str(value))


def ago(then: float) -> str:
    """A time in the past, in one unit: '12 s', '3 min', '5 h', '2 d'."""
    seconds = max(0, int(time.time() - then))
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


def size(count: float) -> str:
    """A number of bytes, in the largest fitting unit of 1024."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"


def _coloured() -> bool:
    import os

    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")
