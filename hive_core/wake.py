"""Waiting for another process's commit, by inotify: on the bell that a commit rings, and on the write-ahead log.

The log is written, and synced, before a commit becomes visible: who looks at once may look too early. The bell is
rung after it. The log is watched all the same, for a writer that was killed in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from types import TracebackType

from hive_core.errors import Replaced
from hive_core.signals import readable
from hive_core.store import Store

# How long after a write to the log its commit is visible at the latest, whether or not the bell was rung, in seconds.
SETTLED = 0.1


class Wake:
    """Wakes its owner whenever anybody commits. Made before the state is read, so that nothing slips in between.

    file: which file the database was when this was made.
    """

    def __init__(self, store: Store) -> None:
        from inotify_simple import INotify, flags

        # The log exists for as long as a connection is open, and this thread's is.
        store.connection().execute("select 1 from events limit 1").fetchall()
        os.close(os.open(store.bell, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._inotify = INotify()
        self._bell = self._inotify.add_watch(str(store.bell), flags.MODIFY)
        self._inotify.add_watch(f"{store.path}-wal", flags.MODIFY)
        # The bell and the log of a file that is gone are nobody's any more.
        self._database = self._inotify.add_watch(str(store.path), flags.ATTRIB | flags.MOVE_SELF)
        self._store, self.file = store, store.connection().file
        self._still()

    def __enter__(self) -> Wake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inotify.close()

    def fileno(self) -> int:
        """The descriptor that becomes readable around a commit, for an event loop; `drain` it then."""
        return int(self._inotify.fileno())

    def drain(self) -> bool:
        """Forget what was signalled; whether a commit is still to come: the log was written, the bell not rung.

        Raises Replaced when the database has become another file: whoever waits needs another Wake.
        """
        signalled = {event.wd for event in self._inotify.read(timeout=0)}
        if self._database in signalled:
            self._still()
            signalled.remove(self._database)
        return bool(signalled) and self._bell not in signalled

    def _still(self) -> None:
        if self._store.file() != self.file:
            raise Replaced(f"{self._store.path} was removed or replaced.", "Call again.")

    def wait(self, seconds: float | None = None, also: Iterable[int] = ()) -> set[int]:
        """Wait for a commit, for one of the file descriptors `also` to become readable, or for `seconds`.

        Returns those descriptors that are readable; an empty set after a commit or the time.
        """
        end = None if seconds is None else time.monotonic() + seconds
        others = list(also)
        while True:
            ready = readable((self.fileno(), *others), None if end is None else end - time.monotonic())
            if self.fileno() in ready and self.drain():
                # The bell rings in a moment, or the writer has died.
                soon = time.monotonic() + SETTLED
                end = soon if end is None else min(end, soon)
                if not ready - {self.fileno()}:
                    continue
            return ready - {self.fileno()}
