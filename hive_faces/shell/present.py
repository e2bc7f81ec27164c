"""What operations return, as text for a person or JSON for a program; everything from agents is made safe to print."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hive_core import service_manager, streams, wire
from hive_core.errors import Exit
from hive_core.human import size, span
from hive_core.results import Detailed, Judged, Listed, Titled, Toned, Untimed, Worded
from hive_core.text import ascii_json, one_line, safe_json, visible

# How much something matters -> how it is shown: red is broken, yellow waits for the operator, what is over recedes.
_COLOURS = {"alarm": "bold red", "wanted": "yellow", "well": "green", "routine": "dim"}
# And how it is marked in the journal.
_PRIORITIES = {"alarm": service_manager.ERROR, "wanted": service_manager.NOTICE}
_WEIGHTS = {
    "failed": "alarm",
    "crash loop": "alarm",
    "no": "alarm",
    "pending": "wanted",
    "running": "well",
    "stopped": "routine",
    "approved": "routine",
    "denied": "routine",
}


def show(result: Any, columns: Sequence[str], *, as_json: bool, empty: str = "") -> int:
    """Print a result and return the exit code: a row that says `ok: false` makes it 1.

    columns: of the table that a list becomes. empty: what a person is told, on standard error, of an empty list.
    """
    if isinstance(result, Iterator):
        _stream(result, as_json=as_json)
    elif as_json:
        rows = result.listing() if isinstance(result, Listed) else result
        print(_json({} if rows is None else rows))
    elif _is_empty(result):
        print(empty, file=sys.stderr)
    elif isinstance(result, list) and columns:
        _table(result, columns)
    elif isinstance(result, list):
        blocks = [item.in_full() for item in result if isinstance(item, Detailed)]
        _paint(visible("\n\n".join(blocks) if blocks else "\n".join(_text(item) or "" for item in result)))
    elif result is not None:
        _paint(visible(_text(result) or ""))
    rows = result if isinstance(result, list) else [result]
    return Exit.REFUSED if any(isinstance(row, Judged) and row.ok is False for row in rows) else Exit.DONE


def _json(value: Any) -> str:
    """A value as one line of JSON, for where it goes: in ASCII where not every character can be written."""
    document = safe_json(wire.line(value))
    return document if streams.is_utf8(sys.stdout) else ascii_json(document)


def _is_empty(result: Any) -> bool:
    listed = result.listing() if isinstance(result, Listed) else result
    return isinstance(listed, list) and not listed


def _stream(items: Iterator[Any], *, as_json: bool) -> None:
    """Print things as they come, each on its line at once, for whoever reads the pipe."""
    # Closed at once, also on Ctrl-C between two items: what the stream holds is put back before hive ends.
    with contextlib.closing(items), _titles() as put:  # type: ignore[type-var]
        for item in items:
            if isinstance(item, Titled) and item.terminal_title is not None:
                put(item.terminal_title)
            line = _json(item) if as_json else _streamed(item)
            if line is not None:
                print(line, flush=True)


@contextlib.contextmanager
def _titles() -> Iterator[Callable[[str], None]]:
    """What sets the title of the terminal, where there is one; it has its own again at the end (XTerm, Window ops)."""
    on_terminal, was_set = sys.stdout.isatty() and os.environ.get("TERM") != "dumb", False

    def put(title: str) -> None:
        nonlocal was_set
        if on_terminal:
            _tell_terminal(("" if was_set else "\x1b[22;0t") + f"\x1b]2;{one_line(title)}\x07")
            was_set = True

    try:
        yield put
    finally:
        if was_set:
            _tell_terminal("\x1b[23;0t")


def _tell_terminal(codes: str) -> None:
    """Write codes that are no text, unless somebody has stopped the terminal (Ctrl-S): nobody waits for it."""
    import select

    descriptor = sys.stdout.fileno()
    if select.select([], [descriptor], [], 0)[1]:
        os.write(descriptor, codes.encode())


def _streamed(item: Any) -> str | None:
    """An item's text; one that says how it is meant has one line, cut to a terminal's width and coloured there."""
    if isinstance(item, Untimed) and isinstance(item, Toned) and service_manager.journal_reads(sys.stdout):
        said = item.untimed()
        return None if said is None else service_manager.marked(visible(said), _PRIORITIES.get(item.tone, ""))
    text = _text(item)
    if text is None:
        return None
    if not isinstance(item, Toned) or not sys.stdout.isatty():
        return visible(text)
    from hive_faces.shell import tables

    return _styled(tables.cut(visible(text), _width()), _COLOURS.get(item.tone, "") if _coloured() else "")


def _text(value: Any) -> str | None:
    """A value as its class says it; None for what a person is not told."""
    if isinstance(value, Worded):
        return value.text()
    if dataclasses.is_dataclass(value):
        fields = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
        return "\n".join(f"{name:<14} {_cell(name, item)}" for name, item in fields if item is not None)
    return str(value)


def _paint(text: str) -> None:
    """Print a text; on a terminal the lines of a diff are coloured as git colours them."""
    if sys.stdout.isatty():
        from hive_faces.shell import tables

        text = tables.set_off(text, _width())
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
    # Not every command draws a table.
    from hive_faces.shell import tables

    heads = [name.replace("_", " ").upper() for name in columns]
    lines = [heads, *([_cell(name, getattr(row, name)) for name in columns] for row in rows)]
    widths = [max(tables.cells_of(line[index]) for line in lines) for index in range(len(heads))]
    on_terminal, coloured = sys.stdout.isatty(), _coloured()
    empty = {index for index in range(len(heads)) if not any(line[index] for line in lines[1:])}
    chosen = tables.layout(columns, widths, _width() if on_terminal else sys.maxsize, empty)
    for number, line in enumerate(lines):
        styles = ["bold" if number == 0 else _style(columns[each.place], line[each.place]) for each in chosen]
        for part in tables.folded(
            [line[each.place] for each in chosen], [columns[each.place] for each in chosen], chosen
        ):
            print(tables.GAP.join(map(_styled, part, styles) if coloured else part).rstrip())


def _style(name: str, cell: str) -> str:
    """By a cell's first word or words: 'failed, restart in 12 s' is coloured as 'failed' is."""
    if name == "badges" and cell:
        return _COLOURS["wanted"]
    return _COLOURS.get(_WEIGHTS.get(cell.partition(",")[0], ""), "") if name in ("state", "status", "ok") else ""


def _styled(cell: str, style: str) -> str:
    """A cell in a style (ECMA-48, Select Graphic Rendition)."""
    codes = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33"}
    return f"\x1b[{';'.join(codes[word] for word in style.split())}m{cell}\x1b[0m" if style else cell


def _width() -> int:
    """How many columns the terminal has; one that does not say has 80."""
    said = os.environ.get("COLUMNS", "")
    return int(said) if said.isdecimal() else os.get_terminal_size(sys.stdout.fileno()).columns or 80


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "age":
        return span(value)
    if name == "size":
        return size(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return one_line(str(value))


def _coloured() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
