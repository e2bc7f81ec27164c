"""Reading a container's journal: its last lines, and every further one as it comes."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hive_agent.lines import LineBuffer
from hive_core.signals import readable

_BLOCK = 256 * 1024
# Seconds between two looks of whoever got no inotify.
PERIOD = 0.5


def tail(path: Path, lines: int) -> list[str]:
    """The last `lines` whole lines of the journal at `path` and the file before it, oldest first."""
    found: list[bytes] = []
    for file in (path, path.with_name(f"{path.name}.1")):
        if len(found) < lines:
            found = _last(file, lines - len(found)) + found
    return [_text(line) for line in found]


def since(lines: list[str], moment: float) -> list[str]:
    """Those of the lines that were written at this moment, in unix seconds, or later."""
    # A line begins with the time at which the supervisor read it, cut to a millisecond; a moment may be rounded to one.
    first = datetime.fromtimestamp(max(0.0, moment - 0.001), UTC).isoformat(timespec="milliseconds")[:-6]
    return [line for line in lines if line >= first] if moment > 0 else lines


def follow(path: Path, lines: int) -> Iterator[str]:
    """As `tail`, then every further line as it is written, over rotations; ends when the container is destroyed."""
    # Watched before it is read, so that no line falls in between.
    with _changes(path.parent) as changed:
        follower = _Follower(path)
        try:
            yield from follower.begin(lines)
            while True:
                gone = changed()
                yield from follower.further()
                if gone:
                    return
        finally:
            follower.close()


@contextmanager
def _changes(folder: Path) -> Iterator[Callable[[], bool]]:
    """What waits until something in a folder may have changed, and tells whether the folder is gone."""
    from inotify_simple import INotify, flags

    try:
        watch = INotify()
    except OSError as error:
        # All that a user may have are used up: then it is looked for.
        if error.errno not in (errno.EMFILE, errno.ENFILE):
            raise
        yield lambda: not readable([], PERIOD) and not folder.exists()
        return
    with watch:
        watch.add_watch(str(folder), flags.MODIFY | flags.CREATE | flags.MOVED_TO | flags.DELETE_SELF | flags.MOVE_SELF)

        def changed() -> bool:
            readable([watch.fileno()])
            return any(event.mask & (flags.IGNORED | flags.MOVE_SELF) for event in watch.read(timeout=0))

        yield changed


class _Follower:
    """Reads on in one file until another has taken its name, then in that."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._pending = LineBuffer()

    def begin(self, lines: int) -> list[str]:
        """The last lines as of now; `further` goes on exactly after them."""
        self._open()
        if self._file < 0:
            return []
        complete = self._pending.feed(_read_all(self._file))
        older = _last(self._path.with_name(f"{self._path.name}.1"), lines - len(complete))
        if self._replaced():
            # Rotated in between: the older file is the one just read.
            older = []
        return [_text(line) for line in [*older, *complete][-lines:]] if lines > 0 else []

    def further(self) -> Iterator[str]:
        while True:
            yield from self._read()
            if not self._replaced():
                return
            # What was written between the last reading and the rename.
            yield from self._read()
            self.close()
            self._open()

    def _open(self) -> None:
        try:
            self._file = os.open(self._path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            self._file = -1
        self._pending.take_rest()

    def _replaced(self) -> bool:
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return False
        return self._file < 0 or os.fstat(self._file).st_ino != now.st_ino

    def _read(self) -> Iterator[str]:
        while self._file >= 0 and (data := os.read(self._file, _BLOCK)):
            yield from map(_text, self._pending.feed(data))

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _last(path: Path, lines: int) -> list[bytes]:
    """The last whole lines of one file, read backwards."""
    if lines <= 0:
        return []
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return []
    with file:
        at, data = file.seek(0, os.SEEK_END), b""
        while at > 0 and data.count(b"\n") <= lines:
            step = min(_BLOCK, at)
            at -= step
            file.seek(at)
            data = file.read(step) + data
    return data.split(b"\n")[:-1][-lines:]


def _read_all(descriptor: int) -> bytes:
    data = bytearray()
    while more := os.read(descriptor, _BLOCK):
        data += more
    return bytes(data)


def _text(line: bytes) -> str:
    return line.decode(errors="replace")
