"""What a long-running process does beside its other work, in a thread: the end of it can be waited for."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hive_core.signals import deferring


class Beside:
    """Work in a thread of its own. fileno: becomes readable when it has ended.

    work: what is done until `end` is called, from another thread, maybe before its beginning or after its end.
    """

    def __init__(self, name: str, work: Callable[[], None], end: Callable[[], None]) -> None:
        self._work, self._end = work, end
        self._ended, self._ending = os.pipe2(os.O_CLOEXEC)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()

    def fileno(self) -> int:
        return self._ended

    def check(self) -> None:
        """Raise what the work has failed with, if it has."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """End the work, and wait for its end."""
        self._end()
        self._thread.join()
        os.close(self._ended)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the thread that has us checks it
            self._error = error
        finally:
            os.close(self._ending)


@contextmanager
def beside(name: str, work: Callable[[], None], end: Callable[[], None]) -> Iterator[Beside]:
    """Have some work done in a thread for as long as the block runs."""
    working = None
    try:
        with deferring():
            working = Beside(name, work, end)
        yield working
    finally:
        if working is not None:
            working.close()
