"""Reading a file that somebody untrusted may have put there: no link is followed, nothing but a regular file opened."""

from __future__ import annotations

import errno
import os
import stat
from typing import BinaryIO


class NotRegular(OSError):
    """There is something of that name which is no regular file: a link, a folder, a pipe, a device, a socket."""


class TooLarge(OSError):
    """The file is larger than is read."""


def open_regular(name: str | os.PathLike[str], *, folder: int | None = None) -> BinaryIO:
    """Open a file to be read. folder: the descriptor of the folder it is in.

    It is looked at first, by a descriptor that opens nothing (O_PATH): a pipe cannot block, nor a device act. What is
    opened then is the very thing that was looked at. Raises OSError: FileNotFoundError, NotRegular and others.
    """
    look = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(look).st_mode):
            raise NotRegular(errno.EINVAL, "it is no regular file", os.fspath(name))
        return os.fdopen(os.open(f"/proc/self/fd/{look}", os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
    finally:
        os.close(look)


def read(name: str | os.PathLike[str], most: int, *, folder: int | None = None) -> bytes:
    """What is in a file, of at most `most` bytes. Raises OSError as `open_regular` does, and TooLarge."""
    with open_regular(name, folder=folder) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise TooLarge(errno.EFBIG, f"it is larger than {most} bytes", os.fspath(name))
    return content
