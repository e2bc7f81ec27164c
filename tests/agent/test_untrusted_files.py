"""Files that somebody untrusted may have put there: what is no plain file is neither followed, waited for nor opened."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from hive_agent.untrusted_files import NotRegular, TooLarge, read


def test_a_file_of_at_most_so_many_bytes_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert read(tmp_path / "file", 5) == b"12345"
    with pytest.raises(TooLarge, match="larger than 4 bytes"):
        read(tmp_path / "file", 4)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent", 5)


@pytest.mark.parametrize("kind", ["link", "link to nothing", "folder", "pipe", "device", "socket"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    (tmp_path / "file").write_text("theirs")
    if kind.startswith("link"):
        path.symlink_to("absent" if "nothing" in kind else "file")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path = Path("/dev/zero")
    with pytest.raises(NotRegular):
        read(path, 100)


def test_it_is_taken_from_the_folder_that_is_held_whatever_has_its_name_meanwhile(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_text("ours")
    held = os.open(tmp_path / "folder", os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "folder").rename(tmp_path / "moved")
    (tmp_path / "folder").symlink_to("/")
    try:
        assert read("file", 100, folder=held) == b"ours"
    finally:
        os.close(held)
