"""One writer at a time in a git repository, and what a killed one left locked is cleared away."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hive_core.errors import Refused
from hive_core.git.library import pygit2
from hive_core.git.made import make_readable
from hive_core.locks import beyond_reach, file_lock


@contextmanager
def only_writer(git: Path, purpose: str) -> Iterator[None]:
    """Be the only hive process that writes to the repository whose `.git` folder is `git`, for the block.

    git's own lock files stay behind when their maker is killed, and nothing in them says whose they were. So there is
    a mark that one of hive's writers is at work: where the next one finds it, the lock files are a dead one's and go;
    otherwise they belong to somebody's git that is at work in there, and are respected.
    Raises Refused with git's reason when git or the file system fails. What was written is readable to others.
    """
    with file_lock(beyond_reach(git.parent) or git / "hive-lock", purpose, say=_nobody):
        unfinished = git / "hive-unfinished"
        if unfinished.exists():
            for lock in git.rglob("*.lock"):
                lock.unlink()
            unfinished.unlink()
        unfinished.touch(0o777)
        # The umask as it is shows in a new file that asks for all there is, as a folder does.
        readable = stat.S_IMODE(unfinished.stat().st_mode) == 0o755
        try:
            yield
        except (pygit2.GitError, OSError) as error:
            hint = "If no git is at work there, remove the .lock file it names." if "lock" in str(error) else None
            raise Refused(f"git could not write to {git.parent}: {error}.", hint) from error
        finally:
            unfinished.unlink()
        if not readable:
            make_readable(git)


def _nobody(text: str) -> None:
    """Such a wait lasts milliseconds: it is not worth a word."""
