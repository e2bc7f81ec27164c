"""Packing a repository that hive alone writes: many small files become a few, and what nothing refers to goes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hive_core.git.bundles import ENVIRONMENT, GIT
from hive_core.git.writer import only_writer
from hive_core.process import run

# Objects and refs in files of their own, and packs, that a repository may have before it is packed.
MOST_FILES, MOST_PACKS = 400, 10
# What nothing refers to stays for so long: somebody may be about to refer to it.
UNREFERRED = "2.weeks.ago"
_LONGEST = 300.0
_LOOSE = re.compile(r"[0-9a-f]{2}/[0-9a-f]{38}")


@dataclass(frozen=True, slots=True)
class Scattered:
    """files: objects and refs that are a file each. packs: how many there are. size: bytes of all of it on the disk."""

    files: int
    packs: int
    size: int

    @property
    def worth_packing(self) -> bool:
        return self.files > MOST_FILES or self.packs > MOST_PACKS


def measure(repository: Path) -> Scattered:
    """How scattered a repository is."""
    files = packs = size = 0
    git = repository / ".git"
    for folder in ("objects", "refs"):
        for path in (git / folder).rglob("*"):
            if path.is_file():
                files += folder == "refs" or _LOOSE.fullmatch(str(path.relative_to(git / folder))) is not None
                packs += path.suffix == ".pack"
                size += path.stat().st_blocks * 512
    return Scattered(files, packs, size)


def pack(repository: Path) -> None:
    """Pack it, as its only writer. Raises ProgramFailed.

    Killed anywhere it is whole: git removes what was there only when the pack that holds it is there. It dies with
    us, for the next writer takes its locks for a dead one's, and removes them.
    """
    with only_writer(repository / ".git", "packing"):
        for command in (
            ("pack-refs", "--all"),
            ("repack", "-A", "-d", "-l", "-q", f"--unpack-unreachable={UNREFERRED}"),
            ("prune", f"--expire={UNREFERRED}"),
        ):
            git = [*GIT, *_LITTLE, "-C", str(repository), *command]
            run(git, env=ENVIRONMENT, timeout=_LONGEST, under_us="KILL")


_LITTLE = ("-c", "pack.threads=1", "-c", "pack.windowMemory=64m")
