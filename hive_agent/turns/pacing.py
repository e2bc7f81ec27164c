"""How long to wait after turns that ended badly: longer each time, and never for ever."""

from __future__ import annotations

from hive_agent.back_off import pause_after
from hive_agent.runners.base import End

LONGEST_BACK_OFF = 300.0
UNNAMED_LIMIT = 60.0
LONGEST_LIMIT = 6 * 3600.0
# Credentials that look usable and were refused, and an account that may not be used, are tried again, should nobody
# touch anything here: the refusal may have been the service's fault, and an account is put right elsewhere.
REFUSED = 900.0


class Pacing:
    """Counts the turns in a row that ended in the same bad way. first: seconds after the first of them."""

    def __init__(self, first: float) -> None:
        self._first = first
        self._end = End.DONE
        self._count = 0

    def note(self, end: End) -> None:
        """A turn ended."""
        self._count = self._count + 1 if self._end is end else 1
        self._end = end

    def back_off(self) -> float:
        """Seconds to the next try after a failure; doubles up to five minutes."""
        return self._doubled(self._first, LONGEST_BACK_OFF)

    def limit(self, until: float | None, now: float) -> float:
        """The moment, in unix seconds, to try again after a limit that names `until`, or names none.

        Bounded both ways, since the name comes from outside: at most 6 hours, after which a try costs one
        refusal; and not at once again and again when the moment has passed already.
        """
        if until is None:
            return now + self._doubled(UNNAMED_LIMIT, LONGEST_LIMIT)
        return min(max(until, now + min(self.back_off(), 60.0)), now + LONGEST_LIMIT)

    def refused(self) -> float:
        """Seconds to the next try with credentials, or an account, that were refused."""
        return self._doubled(REFUSED, LONGEST_LIMIT)

    def _doubled(self, seconds: float, most: float) -> float:
        return pause_after(self._count, seconds, most)
