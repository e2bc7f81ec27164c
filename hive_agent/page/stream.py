"""What the agent's page is told after its cold load: one stream, from what is recorded and what is live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from hive_agent.live import Live
from hive_agent.page.controls import INBOX_SECONDS, Controls
from hive_agent.page.reading import EVENTS, RecordReader

HEARTBEAT_STEPS = 7


def follow(
    reading: RecordReader, live: Live, controls: Controls, after: int, now: Callable[[], dict[str, Any]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What a stream tells, for ever, as (kind, value); the kind '' is a sign of life.

    A page that has seen more than there is (the record was set aside meanwhile) is told to load anew: `reset`.
    """
    if after > reading.newest():
        after = 0
        yield "reset", {}
    shown: dict[str, Any] = {}
    turns: dict[int, dict[str, Any]] = {}
    version, quiet = -1, 0
    while True:
        version = live.wait(version, INBOX_SECONDS)
        controls.look()
        quiet += 1
        for kind, value in _news(reading, after, shown, turns, now()):
            quiet = 0
            yield kind, value
            if kind == "event":
                # There may be more than one step carries: no waiting then.
                after, version = max(after, value["seq"]), -1
        if quiet >= HEARTBEAT_STEPS:
            quiet = 0
            yield "", {}


def _news(
    reading: RecordReader, after: int, shown: dict[str, Any], turns: dict[int, dict[str, Any]], now: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What differs from what was told last: a turn, what happened in it, its end; notes in `shown` and `turns`."""
    if now != shown:
        shown |= now
        yield "now", now
    events, newest = reading.step(after)
    for gone in turns.keys() - {turn["id"] for turn in newest}:
        del turns[gone]
    # The turns follow each other: what happened in each stands between its beginning and its end.
    unended = events[-1]["turn"] if len(events) >= EVENTS else None
    yield from (("event", event) for event in events if event["turn"] not in {turn["id"] for turn in newest})
    for turn in newest:
        own = [event for event in events if event["turn"] == turn["id"]]
        if own and turn["id"] not in turns:
            turns[turn["id"]] = {**turn, "ended": None, "outcome": None, "detail": None}
            yield "turn", turns[turn["id"]]
        yield from (("event", event) for event in own)
        if unended is not None and turn["id"] >= unended:
            return
        if turns.get(turn["id"]) != turn:
            turns[turn["id"]] = turn
            yield "turn", turn
