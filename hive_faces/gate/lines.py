"""Lines from a stream that may send anything: bounded, and usable again after one that was too long."""

from __future__ import annotations

import asyncio

MOST_LINE_BYTES = 1024 * 1024


class LineTooLong(Exception):
    """A line was longer than is taken; it was read to its end and forgotten."""


class Lines:
    """The lines of a stream."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._rest = bytearray()

    async def next(self) -> bytes | None:
        """The next line that is not blank, without its end; None when the stream has ended.

        What comes after the last line break is no line: half a request is never carried out.
        Raises LineTooLong, after which the line behind it can be read.
        """
        seen = 0
        while True:
            # What is blank before a line is no part of it, and however much of it is sent is skipped as it comes.
            if self._rest[:1].isspace():
                self._rest = self._rest.lstrip()
            if (end := self._rest.find(b"\n", seen)) >= 0:
                return self._taken(end)
            if len(self._rest) > MOST_LINE_BYTES:
                await self._skip()
                return None
            seen = len(self._rest)
            chunk = await self._reader.read(65536)
            if not chunk:
                return None
            self._rest += chunk

    def _taken(self, end: int) -> bytes:
        """The line up to there, which is then no longer among what is left."""
        line = bytes(self._rest[:end])
        del self._rest[: end + 1]
        if len(line) > MOST_LINE_BYTES:
            raise LineTooLong(f"That line is {len(line)} bytes long; at most {MOST_LINE_BYTES} are taken.")
        return line

    async def _skip(self) -> None:
        """Forget the rest of a line that is too long already."""
        self._rest.clear()
        while chunk := await self._reader.read(65536):
            end = chunk.find(b"\n")
            if end >= 0:
                self._rest += chunk[end + 1 :]
                raise LineTooLong(f"That line is longer than {MOST_LINE_BYTES} bytes, which is the most that is taken.")
