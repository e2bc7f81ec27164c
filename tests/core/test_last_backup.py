"""Which backup was made last: what was noted is known, and a note that was lost or torn is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core import last_backup
from hive_core.last_backup import LastBackup
from hive_core.settings import from_environment


def test_the_last_one_is_known(tmp_path: Path) -> None:
    settings = from_environment({"HIVE_HOME": str(tmp_path), "HIVE_RUN": str(tmp_path)})
    assert last_backup.read(settings) is None
    for at in (1.5, 2.5):
        last_backup.remember(settings, Path(f"/backups/{at}"), at)
        assert last_backup.read(settings) == LastBackup(f"/backups/{at}", at)
    assert (tmp_path / "last-backup").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"folder": "/x"}', '{"folder": "/x", "made_at": "soon"}', "\xff"]
)
def test_what_says_nothing_is_no_backup(tmp_path: Path, text: str) -> None:
    (tmp_path / "last-backup").write_bytes(text.encode("latin-1"))
    settings = from_environment({"HIVE_HOME": str(tmp_path), "HIVE_RUN": str(tmp_path)})
    assert last_backup.read(settings) is None
