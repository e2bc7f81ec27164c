"""A container's journal as its supervisor writes it: lines with their time, of bounded length, in bounded files."""

# pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH104

from __future__ import annotations

import os
import time

LINE_BYTES = 8 * 1024
FILE_BYTES = 10 * 1024 * 1024
_REMEMBERED = 5
# What a line of hive's own begins with.
OWN = b"hive: "


class JournalWriter:
    """Appends to `journal`; before it has more than FILE_BYTES it becomes `journal.1` and a new one is begun.

    A container's output may be anything. It is kept byte for byte, but for NUL-free line breaks: only a line feed
    ends a line, and a line longer than LINE_BYTES is cut into pieces. What would pass for a line of hive's own gets a
    blank before it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._pending = b""
        self._lost: OSError | None = None
        self.last: list[bytes] = []
        self._open()
        if self._size and os.pread(self._file, 1, self._size - 1) != b"\n":
            # The supervisor before was killed, or the disk was full, in the middle of a line.
            self._put(b"\n")

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(self._path, flags, 0o600)
        self._size = os.fstat(self._file).st_size

    def feed(self, data: bytes) -> int:
        """Take what was read from the container; an unfinished last line is kept for the next time.

        Returns how many bytes that added to the journal.
        """
        *lines, rest = (self._pending + data).split(b"\n")
        while len(rest) >= LINE_BYTES:
            lines.append(rest[:LINE_BYTES])
            rest = rest[LINE_BYTES:]
        self._pending = rest
        return self._lines(lines)

    def say(self, text: str) -> None:
        """Write a line of hive's own."""
        self.flush()
        self._write([OWN + text.encode(errors="backslashreplace").replace(b"\n", b" ")])

    def flush(self) -> None:
        """Write the unfinished last line as if it had ended."""
        if self._pending:
            line, self._pending = self._pending, b""
            self._lines([line])

    def _lines(self, lines: list[bytes]) -> int:
        """Write lines of the container's, cut into pieces."""
        pieces = [
            line[start : start + LINE_BYTES] for line in lines for start in range(0, max(len(line), 1), LINE_BYTES)
        ]
        return self._write([b" " + piece if piece.startswith(OWN) else piece for piece in pieces])

    def _write(self, pieces: list[bytes]) -> int:
        """Write each as a line, in one go: there may be many thousands."""
        if not pieces:
            return 0
        self.last = [*self.last, *pieces[-_REMEMBERED:]][-_REMEMBERED:]
        now = _now()
        text = b"".join([b"%s %s\n" % (now, piece) for piece in pieces])
        self._put(text)
        return len(text)

    def _put(self, text: bytes) -> None:
        try:
            if self._lost is not None:
                notice = f"lines are missing here: {self._lost.strerror}"
                os.write(self._file, b"\n%s %s%s\n" % (_now(), OWN, notice.encode()))
                self._lost = None
            if self._size and self._size + len(text) > FILE_BYTES:
                self._rotate()
            written = os.write(self._file, text)
            self._size += written
            if written < len(text):
                # The disk has become full: the rest says why.
                self._size += os.write(self._file, text[written:])
        except OSError as error:
            # A full disk must not end the container; the gap is told as soon as there is room again.
            self._lost = error

    def _rotate(self) -> None:
        os.rename(self._path, f"{self._path}.1")
        os.close(self._file)
        self._open()


def _now() -> bytes:
    now = time.time_ns() // 1_000_000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now // 1000))}.{now % 1000:03d}Z".encode()
