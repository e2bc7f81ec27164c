"""Files and links that are replaced as a whole: a reader, a kill and a power cut find the old one or the new one."""

# The supervisor of each container imports this: pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH104, PTH108, PTH120, PTH211

from __future__ import annotations

import os
from _thread import get_ident

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Where = str | os.PathLike[str]


def write(path: Where, data: str | bytes, *, mode: int | None = None, temporary: Where | None = None) -> None:
    """Have a file hold this and nothing else. Text is written as UTF-8, lone surrogates as the bytes they stand for.

    mode: given exactly; without one it is 0644 less the umask. temporary: where it is written first, for callers that
    keep others away from there; it must be on the file system of `path`.
    Raises OSError, and then `path` is as it was.
    """
    content = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data

    def make(name: str) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(name, flags, 0o644 if mode is None else 0o600)
        try:
            left = memoryview(content)
            while left:
                left = left[os.write(descriptor, left) :]
            if mode is not None:
                os.fchmod(descriptor, mode)
            # Before the name: else a power cut could leave the new name and none of its content.
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    _replace(os.fspath(path), make, temporary)


def link(path: Where, target: Where) -> None:
    """Have a symbolic link lead to `target`. Raises OSError, and then `path` is as it was."""

    def make(name: str) -> None:
        os.symlink(target, name)
        # A link cannot be synced by itself; its folder can.
        sync(os.path.dirname(name) or ".")

    _replace(os.fspath(path), make, None)


def sync(path: Where) -> None:
    """Have what is in a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace(path: str, make: Callable[[str], None], temporary: Where | None) -> None:
    folder = os.path.dirname(path) or "."
    # A name that no other thread of the machine uses, and not made of the file's own, which may be as long as can be.
    beside = f"{folder}/.new-{os.getpid()}-{get_ident()}" if temporary is None else os.fspath(temporary)
    try:
        # What is there was left by a process that was killed.
        _remove(beside)
        make(beside)
        os.rename(beside, path)
        sync(folder)
    except BaseException as error:
        _remove(beside)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = path
        raise


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
