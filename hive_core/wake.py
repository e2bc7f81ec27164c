"""Waiting for another process's commit: on the bell that a commit rings, and on the write-ahead log (see commits.py).

The log is written, and synced, before a commit becomes visible: who looks at once may look too early. The bell is
rung after it. The log is watched all the same, for a writer that was killed in between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from types import TracebackType

from hive_core.commits import commits_of
from hive_core.errors import Replaced
from hive_core.signals import readable
from hive_core.store import Store

# How long after a write to the log its commit is visible at the latest, whether or not the bell was rung, in seconds.
SETTLED = 0.1
LATE = (
    "warning: this user's inotify instances are used up, perhaps by an agent that is no user of its own: what others do"
    " is noticed up to a fifth of a second late. `sysctl fs.inotify.max_user_instances` raises their number."
)


class Wake:
    """Wakes its owner whenever anybody commits. Made before the state is read, so that nothing slips in between.

    file: which file the database was when this was made.
    """

    def __init__(self, store: Store) -> None:
        # The log exists for as long as a connection is open, and this thread's is.
        store.connection().execute("select 1 from events limit 1").fetchall()
        os.close(os.open(store.bell, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
        self._commits = commits_of(store)
        self._store, self.file = store, store.connection().file
        self._still()

    @property
    def notice(self) -> str | None:
        """What whoever is woken late should be told, for those who wait for long; None for who is woken at once."""
        return LATE if self._commits.slow else None

    def __enter__(self) -> Wake:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._commits.close()

    def fileno(self) -> int:
        """The descriptor that becomes readable around a commit, for an event loop; `drain` it then."""
        return self._commits.fileno()

    def drain(self) -> bool:
        """Forget what was signalled; whether a commit is still to come: the log was written, the bell not rung.

        Raises Replaced when the database has become another file: whoever waits needs another Wake.
        """
        pending, other = self._commits.read()
        if other:
            self._still()
        return pending

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
