"""Lays a tree out as plain files, and mends whatever else is there."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path

from hive_agent import atomic
from hive_agent.untrusted_files import open_regular

FileContent = tuple[int, bytes]  # mode, 0o644 or 0o755, and content


def write_work_tree(root: Path, files: Mapping[str, FileContent]) -> None:
    """Make the folder `root` hold exactly `files`, by path, and its `.git`; what is right already is not touched.

    No filter runs and no link is made or followed, whatever attributes or links the tree has: git's own checkout
    would turn line ends and make links. Can be killed anywhere and run again.
    """
    folders = {parent for path in files for parent in _parents(path)}
    _remove_all_but(root, set(files), folders)
    for path, file in files.items():
        write_file(root, path, file)


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[: length + 1]) for length in range(len(parts))]


def _remove_all_but(root: Path, files: set[str], folders: set[str]) -> None:
    pending = [""]
    while pending:
        with os.scandir(root / pending.pop()) as listed:
            for entry in list(listed):
                path = os.path.relpath(entry.path, root)
                if entry.is_dir(follow_symlinks=False):
                    if path in folders:
                        pending.append(path)
                    elif path != ".git":
                        shutil.rmtree(entry.path)
                elif path not in files or not entry.is_file(follow_symlinks=False):
                    Path(entry.path).unlink()


def write_file(root: Path, path: str, file: FileContent) -> None:
    """Put one file in place, whole or not at all: never half a file under its name, not even after a kill."""
    mode, content = file
    target = root / path
    if read_file(root, path) == (mode, content):
        return
    for parent in _parents(path):
        folder = root / parent
        if folder.is_symlink() or not folder.is_dir():
            folder.unlink(missing_ok=True)
            folder.mkdir(mode=0o755)
        folder.chmod(0o755)
    if target.is_dir() and not target.is_symlink():
        shutil.rmtree(target)
    # Inside .git: a leftover there is no untracked file, and the next write takes its place.
    atomic.write(target, content, mode=mode, temporary=root / ".git" / "hive-new-file")


def read_file(root: Path, path: str) -> FileContent | None:
    """The mode (0o644 or 0o755) and content of a regular file of the work tree, None for anything else."""
    try:
        with open_regular(root / path) as file:
            return stat.S_IMODE(os.fstat(file.fileno()).st_mode), file.read()
    except OSError:
        # Absent, a link, a file where a folder should be, unreadable: in each case what is due is written anew.
        return None


def remove_file(root: Path, path: str) -> None:
    """Remove one file and the folders that are empty without it."""
    (root / path).unlink(missing_ok=True)
    for parent in reversed(_parents(path)):
        try:
            (root / parent).rmdir()
        except (FileNotFoundError, OSError):
            return
