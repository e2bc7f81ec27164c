"""Tables: whole where there is room, and what gives way where there is not."""

from __future__ import annotations

import pytest

from hive_cmds import requests
from hive_faces.shell.tables import GIVES_WAY, TEXTS, cells_of, cut, fitted, folded, layout, set_off
from hive_faces.verbs import everything

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
    [(66, ("name", "state", "badges", "url")), (40, ("name", "state", "badges")), (15, ("name", "state", "badges"))],
)
def test_the_least_important_columns_go_first(room: int, left: tuple[str, ...]) -> None:
    assert tuple(shown(LIST, WIDTHS, room)) in (left, left[:2])


def test_a_description_is_shortened_before_anything_goes() -> None:
    widths = (2, 5, 12, 12, 7, 6, 4096)
    assert shown(requests.COLUMNS, widths, 80) == list(requests.COLUMNS)
    assert shown(requests.COLUMNS, widths, 60) == ["id", "agent", "status", "age", "description"]


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
