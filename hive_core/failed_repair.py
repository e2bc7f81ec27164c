"""A repair that has failed, as it is kept until it succeeds."""

from __future__ import annotations

from typing import NamedTuple


class FailedRepair(NamedTuple):
    """A repair that has failed and is to be tried again.

    what: which one, as `operation/coder` or `denied/7`. agent: whose it is. error: why it failed last. since: when it
    failed first; tried_at: last; due_at: when it is tried again by itself. All in unix seconds.
    """

    what: str
    agent: str
    error: str
    since: float
    tried_at: float
    tries: int
    due_at: float
