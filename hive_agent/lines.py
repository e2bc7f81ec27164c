"""Lines out of bytes that come in pieces."""

from __future__ import annotations


class LineBuffer:
    """Keeps the beginning of a line until its end has come. longest: bytes a line may have; None for any number."""

    def __init__(self, longest: int | None = None) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Take in a piece; the lines that it ends, without their ends. Raises ValueError for one that is too long."""
        if b"\n" not in data:
            self._rest += data
            lines = []
        else:
            *lines, rest = (bytes(self._rest) + data).split(b"\n")
            self._rest[:] = rest
        if self._longest is not None and max(map(len, (*lines, self._rest))) > self._longest:
            raise ValueError(f"a line is longer than {self._longest} bytes")
        return lines

    def take_rest(self) -> bytes:
        """The beginning of a line whose end has not come, which is forgotten."""
        rest = bytes(self._rest)
        self._rest.clear()
        return rest
