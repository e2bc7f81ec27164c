"""Waiting for another process's commit: inotify on a file that every writer touches after its own."""

from __future__ import annotations

import select
from collections.abc import Iterable
from types import TracebackType

from hive_core.store import Store


class Wake:
    """Wakes its owner whenever anybody has committed. Made before the state is read, so that nothing slips in between.

    A writer that is killed between its commit and its word of it wakes nobody; the next commit does, and
    a watch that runs commits every few seconds.
    """

    def __init__(self, store: Store) -> None:
        from inotify_simple import INotify, flags

        store.connection()  # Makes the folder too, where there is none.
        store.commits.touch(mode=0o600)
        self._inotify = INotify()
        self._inotify.add_watch(store.commits, flags.ATTRIB)

    def __enter__(self) -> Wake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inotify.close()

    def fileno(self) -> int:
        """The descriptor that becomes readable at a commit, for an event loop; `drain` it then."""
        return int(self._inotify.fileno())

    def drain(self) -> None:
        """Forget the commits that were signalled so far."""
        self._inotify.read(timeout=0)

    def wait(self, seconds: float | None = None, also: Iterable[int] = ()) -> set[int]:
        """Wait for a commit, for one of the file descriptors `also` to become readable, or for `seconds`.

        Returns those descriptors that are readable; an empty set after a commit or the time.
        """
        poll = select.poll()
        own = self.fileno()
        for descriptor in (own, *also):
            poll.register(descriptor, select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(None if seconds is None else max(0.0, seconds) * 1000)}
        if own in ready:
            self.drain()
        return ready - {own}
