"""Which test goes to which worker: one after another, those that share what is made once for their module together.

pytest-xdist's own groups are by a mark that its workers write into a test's name, which pytest 9.2 does not let them.
"""

from __future__ import annotations

import functools
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

CHECKOUT = Path(__file__).resolve().parent.parent
# What a module says that has a fixture for all its tests, a machine, a browser, a hive, or keeps what it has read.
_SHARING = (
    'scope="module"',
    "\n@cache\n",
    "booted_machine",
    "from tests.chromium import",
    "from tests.nix.evaluating import",
)


class Schedule(LoadScopeScheduling):
    """Gives the tests of a module that share something to one worker, and every other test to the next that is free."""

    def _split_scope(self, nodeid: str) -> str:
        module = nodeid.partition("::")[0]
        return module if shares(module) else nodeid


@functools.cache
def shares(module: str) -> bool:
    """Whether tests of a module, which is named by its path in the checkout, share what is made once for all of them."""
    text = (CHECKOUT / module).read_text()
    return any(words in text for words in _SHARING)
