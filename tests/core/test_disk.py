"""What a person is told of the machine's own troubles; a bug is none of them."""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from hive_core import disk
from hive_core.errors import Damaged, HiveError, Invalid


def refused(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


def test_of_a_limit_on_open_files_both_that_it_may_be_are_named() -> None:
    found = disk.refusal(refused(errno.EMFILE))
    assert found is not None
    assert "ulimit -n" in (found.hint or "")
    assert "fs.inotify.max_user_instances" in (found.hint or "")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO])
def test_of_a_disk_that_takes_nothing_the_file_is_named(number: int) -> None:
    found = disk.refusal(refused(number, "/some/file"))
    assert found is not None
    assert found.message == f"/some/file: {os.strerror(number)}."
    assert disk.refusal(refused(number)) is not None


def of_sqlite(path: Path, *statements: str) -> sqlite3.Error:
    """What SQLite raises for the last of these."""
    with closing(sqlite3.connect(path, timeout=0)) as db, pytest.raises(sqlite3.Error) as raised:
        for statement in statements:
            db.execute(statement)
    return raised.value


def test_what_sqlite_cannot_do_is_told_by_its_own_word(tmp_path: Path) -> None:
    full = of_sqlite(tmp_path / "a", "pragma max_page_count = 2", "create table a (b)", "create table c (d)")
    found = disk.refusal(full)
    assert found is not None
    assert "SQLITE_FULL" in found.message
    (tmp_path / "b").write_text("nonsense " * 1000)
    found = disk.refusal(of_sqlite(tmp_path / "b", "select 1 from a"))
    assert found is not None
    assert "SQLITE_NOTADB" in found.message
    with closing(sqlite3.connect(tmp_path / "a", isolation_level=None)) as other:
        other.execute("begin exclusive")
        found = disk.refusal(of_sqlite(tmp_path / "a", "begin immediate"))
    assert found is not None
    assert found.message == "The database was busy for too long with what another process writes."


def test_a_bug_is_no_trouble_of_the_machines(tmp_path: Path) -> None:
    for error in (ValueError("x"), of_sqlite(tmp_path / "a", "select 1 from nowhere")):
        assert disk.refusal(error) is None
        assert disk.told(error) is None
        assert disk.cause(error) is None


def test_what_the_system_refuses_otherwise_is_told_and_is_no_bug() -> None:
    found = disk.told(refused(errno.EACCES, "/some/file"))
    assert found is not None
    assert found.message == "This machine would not do it: /some/file: Permission denied."
    assert disk.refusal(refused(errno.EACCES)) is None
    found = disk.told(OSError("strange"))
    assert found is not None
    assert "strange" in found.message


def test_ours_is_told_as_it_is() -> None:
    for ours in (Invalid("No."), Damaged("It is damaged.")):
        assert disk.told(ours) is ours
    assert disk.refusal(Damaged("It is damaged.")) is not None
    assert disk.refusal(Invalid("No.")) is None


def test_the_cause_behind_an_error_is_found() -> None:
    try:
        try:
            raise refused(errno.ENOSPC, "/some/file")
        except OSError as error:
            raise HiveError("It could not be written.") from error
    except HiveError as error:
        found = disk.cause(error)
    assert found is not None
    assert found.message.startswith("/some/file: ")
