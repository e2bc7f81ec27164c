"""A container's output, taken no faster than its journal may be filled: who writes without end has to wait."""

from __future__ import annotations

import os
import select

from hive_core.bucket import Bucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from hive_core.containers.local.journal_writer import JournalWriter

CHUNK = 64 * 1024
# Bytes of the journal that can be filled at once, and each second after that. What hive adds to a line counts too:
# to put the time before millions of empty ones is the supervisor's work, which no limit of the container covers.
BURST, RATE = 32 * 1024 * 1024, 2 * 1024 * 1024


class Output:
    """The reading end of a container's output, moved to its journal while `poll` waits for more than that.

    Once the burst is used up it is not waited for until the journal may be filled again: then the pipe is full, and
    whoever writes stops.
    """

    def __init__(self, output: int, journal: JournalWriter, poll: select.poll) -> None:
        self._output = output
        self._journal = journal
        self._poll = poll
        self._room = Bucket(BURST, RATE)
        self._open = False
        self._ended = False
        self.milliseconds()

    def milliseconds(self) -> int | None:
        """How long `poll` is to wait at the most: until more may be taken; None for no such time."""
        if self._ended:
            return None
        rest = self._room.seconds()
        if not rest and not self._open:
            self._poll.register(self._output, select.POLLIN)
            self._open = True
        return None if self._open else int(rest * 1000) + 1

    def take(self) -> bool:
        """Move what was written to the journal; False when that was the end of it."""
        try:
            data = os.read(self._output, CHUNK)
        except BlockingIOError:
            # The container can open its end for reading (/proc/self/fd) and be faster; that is no end.
            return True
        self._room.take(self._journal.feed(data))
        self._ended = not data
        if self._open and (self._ended or self._room.seconds()):
            self._poll.unregister(self._output)
            self._open = False
        return bool(data)
