"""The folder of the sockets belongs to one hive, told by its home."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core import run_folder
from hive_core.errors import Refused
from hive_core.settings import Settings, from_environment


def hive_in(tmp_path: Path, name: str, *, there: bool = True) -> Settings:
    home = tmp_path / name
    home.mkdir(exist_ok=True)
    if there:
        (home / "hive.db").touch()
    return from_environment({"HIVE_HOME": str(home), "HIVE_RUN": str(tmp_path / "run")})


def test_who_comes_first_has_it_and_may_come_again(tmp_path: Path) -> None:
    mine = hive_in(tmp_path, "mine")
    assert not run_folder.is_anothers(mine)
    run_folder.claim(mine)
    run_folder.claim(mine)
    assert not run_folder.is_anothers(mine)
    assert (tmp_path / "run" / "home").read_text() == str(mine.home)


def test_another_is_refused_with_both_and_what_to_do(tmp_path: Path) -> None:
    mine, other = hive_in(tmp_path, "mine"), hive_in(tmp_path, "other")
    run_folder.claim(mine)
    assert run_folder.is_anothers(other)
    with pytest.raises(
        Refused, match=r"run holds the sockets of the hive in .*/mine, not of the one in .*/other"
    ) as no:
        run_folder.claim(other)
    assert no.value.hint == "Give each a folder of its own: HIVE_RUN names it."
    assert not run_folder.is_anothers(mine)


def test_the_folder_of_one_that_is_gone_is_free(tmp_path: Path) -> None:
    gone, other = hive_in(tmp_path, "gone", there=False), hive_in(tmp_path, "other")
    run_folder.claim(gone)
    assert run_folder.is_anothers(other)
    run_folder.claim(other)
    assert run_folder.is_anothers(gone)


def test_a_home_is_the_same_by_whichever_path(tmp_path: Path) -> None:
    run_folder.claim(hive_in(tmp_path, "mine"))
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    assert not run_folder.is_anothers(hive_in(tmp_path, "link"))
