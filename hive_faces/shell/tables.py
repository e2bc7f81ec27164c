"""Tables: in a pipe whole, on a terminal fitted to its width: least important columns go, texts are shortened."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from typing import NamedTuple

# Columns that hold running text: they give way first, down to WORTH_READING characters.
TEXTS = ("description", "detail", "error", "badges", "state", "value", "url")
WORTH_READING = 24
NAMES = ("name", "agent", "check")
# What goes next, the least important first; what has a name is only shortened then, as a text is. A badge never goes.
GIVES_WAY = ("sha", "deployed_sha", "rev", "has_login", "kind", "age", *NAMES, "url", "description", "status")
# What is read nowhere else: on a narrow terminal it goes on in the next line.
FOLDED = ("detail", "error")
# What is there to be typed: cut, it is of no use.
TYPED = ("command",)
# Where nothing is left to go: each column keeps so many characters.
LEAST = 4
GAP = "  "
# What goes before anything that has a name: columns that say nothing.
_EMPTY = ""
# What `hive_core.text.indented` begins each line with.
QUOTE = "  | "


class Column(NamedTuple):
    """A column that is shown: which one, and how many columns of the terminal it has."""

    place: int
    width: int


def layout(names: Sequence[str], widths: Sequence[int], room: int, empty: Container[int] = frozenset()) -> list[Column]:
    """Choose the columns of a table and their widths so that a line has at most `room` columns. Pure.

    names: the columns in their order. widths: what each would like. empty: the places of those with nothing in them.
    """
    kept, texts = list(range(len(names))), set(TEXTS)
    for name in (None, _EMPTY, *(name for name in GIVES_WAY if name in names)):
        texts.update({name} if name in NAMES else ())
        if name is _EMPTY:
            kept = [place for place in kept if place not in empty] or kept
        kept = [place for place in kept if names[place] != name or name in NAMES]
        # What has a name is cut only where that of other texts is not enough: a name is what one types.
        for shortened in (TEXTS, texts):
            floors = [WORTH_READING if names[place] in shortened else widths[place] for place in kept]
            fitted = _squeezed([widths[place] for place in kept], floors, room)
            if _total(fitted) <= room:
                return [Column(place, width) for place, width in zip(kept, fitted, strict=True)]
    # Not even so many columns may fit.
    kept = kept[: max(1, (room + len(GAP)) // (LEAST + len(GAP)))]
    fitted = _cramped([names[place] for place in kept], [widths[place] for place in kept], room)
    return [Column(place, width) for place, width in zip(kept, fitted, strict=True)]


def _cramped(names: Sequence[str], widths: Sequence[int], room: int) -> list[int]:
    """The widths where nothing is left to go: what is typed stays whole, and what goes on can be read, while it can."""
    for spared in ((*TYPED, *FOLDED), TYPED, ()):
        floors = [
            LEAST if name not in spared else width if name in TYPED else min(width, WORTH_READING)
            for name, width in zip(names, widths, strict=True)
        ]
        fitted = _squeezed(widths, floors, room)
        if _total(fitted) <= room:
            break
    return fitted


def _squeezed(widths: Sequence[int], floors: Sequence[int], room: int) -> list[int]:
    """Take what is too much from the widest that may still give, none going below its floor, and all of them alike."""
    fitted = list(widths)
    while (excess := _total(fitted) - room) > 0:
        giving = [index for index, width in enumerate(fitted) if width > floors[index]]
        if not giving:
            break
        widest = max(giving, key=lambda index: fitted[index])
        next_widest = max((fitted[index] for index in giving if index != widest), default=0)
        least = max(floors[widest], min(next_widest, fitted[widest] - 1))
        fitted[widest] -= min(excess, fitted[widest] - least)
    return fitted


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * max(0, len(widths) - 1)


def cells_of(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    # Only what has characters that are none or two columns wide is worth an import.
    from rich.cells import cell_len

    return cell_len(text)


def fitted(text: str, width: int) -> str:
    """A text in exactly `width` columns of a terminal: filled up, or cut with an ellipsis."""
    return cut(text, width) + " " * (width - cells_of(cut(text, width)))


def cut(text: str, width: int) -> str:
    """A text in at most `width` columns of a terminal, with an ellipsis where it was cut."""
    if cells_of(text) <= width:
        return text
    while cells_of(text) > width - 1:
        # Never more characters than columns, but one may be two columns wide.
        text = text[: min(len(text) - 1, width - 1)]
    return f"{text}…"


def folded(cells: Sequence[str], names: Sequence[str], columns: Sequence[Column]) -> Iterator[list[str]]:
    """The lines of one row, each cell in exactly its column's width: one line, or more where a cell may go on."""
    going_on = len(cells) - 1
    parts = [cells[going_on]]
    if names[going_on] in FOLDED:
        parts = list(_pieces(cells[going_on], columns[going_on].width))
    for number, part in enumerate(parts):
        shown = [*cells[:going_on], part] if number == 0 else [*[""] * going_on, part]
        yield [fitted(cell, column.width) for cell, column in zip(shown, columns, strict=True)]


def set_off(text: str, width: int) -> str:
    """A text whose lines are at most `width` columns wide where they quote somebody: what goes on is set off, too.

    Else a terminal would begin what does not fit at its left edge, where hive itself speaks.
    """
    lines = text.split("\n")
    # On a terminal of a few columns it would be nothing but marks.
    quotes = width > 2 * len(QUOTE)
    return "\n".join(
        piece
        for line in lines
        for piece in (_pieces(line, width, QUOTE) if quotes and line.startswith(QUOTE) else (line,))
    )


def _pieces(line: str, width: int, mark: str = "") -> Iterator[str]:
    """A line in pieces of at most `width` columns. mark: what it begins with, and each further piece, too."""
    while cells_of(line) > width:
        piece = line[: max(1, width)]
        while cells_of(piece) > width and len(piece) > 1:
            piece = piece[:-1]
        # Between words, unless one alone takes half the line.
        at_word = piece.rfind(" ") + 1
        piece = piece[:at_word] if at_word > width // 2 else piece
        yield piece.rstrip()
        line = mark + line[len(piece) :].lstrip()
    yield line
