"""What a long-running command says, read as it comes: on standard output and standard error together."""

from __future__ import annotations

import subprocess
import threading
import time

from tests.hives import PATIENCE


class Told:
    """A process, and all that it has said."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""
        self._more = threading.Condition()
        for stream in (process.stdout, process.stderr):
            threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: object) -> None:
        for line in stream:  # type: ignore[attr-defined]
            with self._more:
                self.text += line
                self._more.notify_all()

    def until(self, words: str, *, after: int = 0) -> int:
        """Wait until these words were said, behind the place `after`; the place behind them."""
        end = time.monotonic() + PATIENCE
        with self._more:
            while (at := self.text.find(words, after)) < 0:
                left = end - time.monotonic()
                assert left > 0, f"{words!r} was not said, but:\n{self.text}"
                assert self._more.wait(min(left, 1.0)) or self.process.poll() is None, self.text
            return at + len(words)

    def repeated(self, words: str) -> list[str]:
        """The lines with these words that were said again, though nobody had said in between that it goes on."""
        told: set[str] = set()
        again = []
        for line in self.text.splitlines():
            if line.endswith(" goes on"):
                told.clear()
            elif words in line:
                again += [line] if line in told else []
                told.add(line)
        return again
