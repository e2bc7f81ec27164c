"""Tables: whole where there is room, and what gives way where there is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_cmds import requests
from hive_faces.shell.tables import GIVES_WAY, TEXTS, Column, cells_of, cut, fitted, folded, layout, set_off
from hive_faces.verbs import everything
from tests.properties import thorough

LIST = ("name", "state", "badges", "deployed_sha", "url")
WIDTHS = (7, 7, 11, 12, 22)


def shown(names: tuple[str, ...], widths: tuple[int, ...], room: int) -> list[str]:
    chosen = layout(names, widths, room)
    assert sum(column.width for column in chosen) + 2 * (len(chosen) - 1) <= room
    return [names[column.place] for column in chosen]


def test_a_table_that_fits_is_whole() -> None:
    assert [tuple(column) for column in layout(LIST, WIDTHS, 67)] == list(enumerate(WIDTHS))


@pytest.mark.parametrize(
    ("room", "left"),
    [(66, ("name", "state", "badges", "url")), (40, ("name", "state", "badges")), (15, ("name", "state"))],
)
def test_the_least_important_columns_go_first(room: int, left: tuple[str, ...]) -> None:
    assert tuple(shown(LIST, WIDTHS, room)) == left


def test_a_description_is_shortened_before_anything_goes() -> None:
    widths = (2, 5, 12, 12, 7, 6, 4096)
    assert shown(requests.COLUMNS, widths, 80) == list(requests.COLUMNS)
    assert shown(requests.COLUMNS, widths, 60) == ["id", "agent", "status", "age", "description"]


def test_a_column_that_says_nothing_goes_before_any_that_does() -> None:
    widths = (2, 5, 12, 12, 8, 4, 11)
    chosen = layout(requests.COLUMNS, widths, 60, empty={6})
    assert [requests.COLUMNS[column.place] for column in chosen] == list(requests.COLUMNS[:-1])
    assert len(layout(requests.COLUMNS, widths, 80, empty={6})) == len(widths)


def test_where_nothing_can_go_what_goes_on_in_the_next_line_can_still_be_read() -> None:
    widths = [column.width for column in layout(("of", "what", "size", "detail"), (24, 30, 9, 60), 60)]
    assert (sum(widths) + 6, widths[3]) == (60, 24)
    assert max(widths[:2]) - min(widths[:2]) <= 1


def test_what_is_to_be_typed_is_whole_where_it_can_be() -> None:
    chosen = layout(("id", "age", "command", "detail"), (34, 3, 33, 60), 80)
    assert [column.width for column in chosen] == [19, 33, 24]


def test_a_name_is_not_cut_where_other_texts_can_be() -> None:
    chosen = layout(LIST, (25, 7, 25, 12, 22), 60)
    assert [column.width for column in chosen] == [25, 7, 24]


def test_a_very_long_name_leaves_room_for_how_the_agent_is() -> None:
    assert shown(LIST, (63, 7, 11, 12, 22), 60)[:2] == ["name", "state"]


def test_every_table_has_something_that_gives_way() -> None:
    for operation in everything().values():
        if operation.columns:
            assert set(operation.columns) & {*GIVES_WAY, *TEXTS}, operation.name


def test_a_character_of_two_columns_counts_as_two() -> None:
    assert cells_of("日本") == 4
    assert cut("日本語", 4) == "日…"
    assert fitted("日本語", 4) == "日… "
    assert fitted("ab", 4) == "ab  "


def test_what_is_read_nowhere_else_goes_on_in_the_next_line() -> None:
    columns = layout(("check", "ok", "detail"), (4, 3, 60), 40)
    rows = list(folded(["home", "yes", "word " * 12], ("check", "ok", "detail"), columns))
    assert [row[0].strip() for row in rows] == ["home"] + [""] * (len(rows) - 1)
    assert " ".join(row[2].strip() for row in rows).split() == ["word"] * 12


def test_a_quote_that_is_too_long_is_set_off_in_every_line() -> None:
    text = "1: coder to operator\n  | " + "word " * 30 + "\n  | " + "x" * 100
    lines = set_off(text, 40).split("\n")
    assert max(map(len, lines)) <= 40
    assert all(line.startswith("  | ") for line in lines[1:])
    assert "".join(line[4:] for line in lines[1:]).replace(" ", "") == "word" * 30 + "x" * 100


_ALL = ("name", "state", "badges", "deployed_sha", "url", "description", "age", "detail")
_TEXTS = st.text(alphabet="ab c漢🙂|  ", max_size=40)


@thorough
@given(st.lists(st.sampled_from(_ALL), max_size=5, unique=True), st.lists(_TEXTS, min_size=6, max_size=6),
       st.integers(4, 120))  # fmt: skip
def test_no_line_of_a_table_is_wider_than_the_terminal_and_all_of_a_row_are_as_wide(
    names: list[str], cells: list[str], room: int
) -> None:
    # Every table has one that never goes.
    names = ["badges", *(name for name in names if name != "badges")]
    row = cells[: len(names)]
    chosen = layout(names, [max(len(name), cells_of(cell)) for name, cell in zip(names, row, strict=True)], room)
    assert [column.place for column in chosen] == sorted({column.place for column in chosen})
    for line in folded([row[each.place] for each in chosen], [names[each.place] for each in chosen], chosen):
        widths = [cells_of(cell) for cell in line]
        assert widths == [column.width for column in chosen]
        assert sum(widths) + 2 * (len(widths) - 1) <= room


@thorough
@given(_TEXTS, st.integers(1, 50))
def test_a_text_is_cut_to_a_width_or_whole(text: str, width: int) -> None:
    assert cells_of(cut(text, width)) <= max(width, cells_of(text) if cells_of(text) <= width else 0)
    assert cut(text, width) == text or cut(text, width).endswith("…")
    assert cells_of(fitted(text, width)) == width


@thorough
@given(_TEXTS, st.integers(9, 60))
def test_a_quote_of_any_length_is_set_off_in_every_line_and_loses_no_word(text: str, width: int) -> None:
    shown_ = set_off(f"  | {text}", width).split("\n")
    assert all(line.startswith("  |") for line in shown_)
    assert all(cells_of(line) <= width for line in shown_)
    assert "".join("".join(line.removeprefix("  |").split()) for line in shown_) == "".join(text.split())


@thorough
@given(_TEXTS, st.integers(4, 30))
def test_what_is_read_nowhere_else_loses_nothing_however_narrow_its_column_is(text: str, width: int) -> None:
    lines = list(folded(["ok", text], ["ok", "detail"], [Column(0, 2), Column(1, width)]))
    assert "".join("".join(line[1].split()) for line in lines) == "".join(text.split())
    assert [line[0] for line in lines] == ["ok", *["  "] * (len(lines) - 1)]
