"""The standard streams, made such that no terminal, pipe or disk behind them is taken for a bug of hive's."""

from __future__ import annotations

import io
import os
import select
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

from hive_core.errors import HiveError
from hive_core.process import SAFE_PATH

# Bytes that are kept for somebody who does not take them, and seconds that their end waits for being taken.
MOST_WAITING = 8 << 20
LAST_SECONDS = 1.0


class OutputLost(HiveError):
    """Standard output could not be written to; the pipe that nobody reads any more is a BrokenPipeError instead."""


class _Stream(io.FileIO):
    """Where standard output or standard error goes.

    enduring: what cannot be written is dropped. Otherwise the first failure is raised, and nothing is written after it:
    Python itself tries again at its exit, and would end with code 120.
    """

    enduring = False
    behind: _Behind | None = None
    _failed = False

    def write(self, data: Any) -> int:
        if self.behind is not None:
            return self.behind.take(self, bytes(data))
        return self.write_now(data)

    def write_now(self, data: Any) -> int:
        """Write, and wait for whoever takes it."""
        if self._failed and not self.enduring:
            return len(data)
        try:
            return self._write(data)
        except OSError as error:
            told, self._failed = self._failed, True
            if not self.enduring:
                if isinstance(error, BrokenPipeError):
                    raise
                raise OutputLost(f"Standard output cannot be written to: {error.strerror}.") from error
            if self.fileno() == 1 and not told:
                sys.stderr.write(f"hive: what is shown here cannot be written ({error.strerror}); hive goes on\n")
            return len(data)

    def _write(self, data: Any) -> int:
        # None: another program that shares the terminal has it not wait, and it is full for a moment.
        while (written := super().write(data)) is None:
            select.select([], [self], [])
        return written


class _Behind:
    """A thread that writes what others hand it, so that none of them waits for a terminal that was stopped by Ctrl-S.

    The streams share it: what is written to one after the other is read so. What nobody takes is kept up to a limit,
    and dropped from there on; how much that was is told when it is taken again.
    """

    def __init__(self) -> None:
        self._waiting: deque[tuple[_Stream, bytes]] = deque()
        self._bytes, self._dropped, self._written = 0, 0, 0
        self._changed = threading.Condition()
        threading.Thread(target=self._write, name="output", daemon=True).start()

    def take(self, stream: _Stream, data: bytes) -> int:
        """Have these bytes written when it is their turn."""
        with self._changed:
            if self._bytes + len(data) > MOST_WAITING:
                self._dropped += data.count(b"\n")
            else:
                if self._dropped:
                    self._add(stream, f"({self._dropped} lines are missing here: nobody took them)\n".encode())
                    self._dropped = 0
                self._add(stream, data)
        return len(data)

    def _add(self, stream: _Stream, data: bytes) -> None:
        self._waiting.append((stream, data))
        self._bytes += len(data)
        self._changed.notify_all()

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                stream, data = self._waiting[0]
            rest = memoryview(data)
            while rest:
                rest = rest[stream.write_now(rest) :]
            with self._changed:
                self._waiting.popleft()
                self._bytes -= len(data)
                self._written += 1
                self._changed.notify_all()

    def finish(self) -> bool:
        """Wait until all is written, for as long as anything is; whether it is."""
        with self._changed:
            while self._waiting:
                before = self._written
                if not self._changed.wait_for(lambda: self._written != before, LAST_SECONDS):  # noqa: B023
                    return False
        return True


def prepare() -> None:
    """Open what whoever started us has closed, write what an encoding lacks as an escape, have a PATH and a folder.

    Descriptors 0 to 2 must be taken: the next file that is opened would get one, and be written to by a print.
    """
    if _raw(sys.stdout) is not None:
        return
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            _open_nothing(number)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="backslashreplace")
    sys.stdout = _prepared(sys.stdout, 1)
    sys.stderr = _prepared(sys.stderr, 2)
    endure(sys.stderr)
    if not os.environ.get("PATH"):
        os.environ["PATH"] = SAFE_PATH
    try:
        Path.cwd()
    except FileNotFoundError:
        # It was removed; programs refuse to start there.
        os.chdir("/")


def endure(stream: Any) -> None:
    """Go on whatever becomes of what is written to standard output, or to standard error."""
    raw = _raw(stream)
    if raw is not None:
        raw.enduring = True


def hurry_nobody() -> None:
    """Have what is written to standard output and standard error be written behind the caller's back from now on."""
    streams = [raw for stream in (sys.stdout, sys.stderr) if (raw := _raw(stream)) is not None]
    behind = _Behind() if streams else None
    for stream in streams:
        stream.behind = behind


def finish() -> None:
    """At the end: have all be written that anybody takes, and drop the rest."""
    for stream in (_raw(sys.stdout), _raw(sys.stderr)):
        if stream is not None and stream.behind is not None and stream.behind.finish():
            stream.behind = None


def is_utf8(stream: Any) -> bool:
    """Whether every character can be written to a stream as itself."""
    return str(getattr(stream, "encoding", None)).lower().replace("-", "").replace("_", "") == "utf8"


def _open_nothing(number: int) -> None:
    nothing = os.open(os.devnull, os.O_RDWR)
    if nothing == number:
        os.set_inheritable(number, True)
    else:
        os.dup2(nothing, number)
        os.close(nothing)


def _prepared(stream: Any, number: int) -> Any:
    raw = _Stream(number, "w", closefd=False)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    at_once = number == 2
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",
        line_buffering=at_once or raw.isatty(),
        write_through=at_once,
    )


def _raw(stream: Any) -> _Stream | None:
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Stream) else None
