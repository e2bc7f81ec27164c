"""Nix: what it is not asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.errors import Refused
from hive_core.nix import Nix


@pytest.mark.parametrize("home", ["sp ace", "\u00fcnicode", "ha#sh", "q?m"])
def test_a_folder_that_nix_makes_no_url_of_is_refused_before_it_is_run(tmp_path: Path, home: str) -> None:
    with pytest.raises(Refused, match="nix cannot work in") as refused:
        Nix((2, 8), tmp_path / "cache").lock(tmp_path / home / "meta")
    assert "HIVE_NIX=off" in str(refused.value.hint)
    assert list(tmp_path.iterdir()) == []
