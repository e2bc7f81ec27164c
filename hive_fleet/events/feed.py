"""The feed: every event with the sentence that a person reads, from any place in the history on."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from hive_core import events as log
from hive_core.context import Hive
from hive_core.events import Event
from hive_core.human import clock, shorter
from hive_core.text import one_line
from hive_fleet.events.sentences import QUOTED, sentence, tone_of


@dataclass(frozen=True, slots=True)
class Line:
    """An event on its way to a face: for a program the event as it is, for a person `said`.

    said: the sentence, or None for nothing. numbered: whether its seq is shown. with_sentence: whether a program gets
    both, the event and the sentence. terminal_title: what it is from here; None where it stays as it is.
    """

    event: Event
    said: str | None
    numbered: bool
    with_sentence: bool = False
    terminal_title: str | None = None

    def wire(self) -> dict[str, Any]:
        """The event as every stream sends it."""
        return with_words(self.event, self.said) if self.with_sentence else self.event.wire()

    def text(self) -> str | None:
        """When, about whom, what; None for an event that a person is not told."""
        if self.said is None:
            return None
        number = f"{self.event.seq:>6}  " if self.numbered else ""
        return f"{number}{clock(self.event.at)}  {self.untimed()}"

    def untimed(self) -> str | None:
        """About whom, what; for a log that has a clock of its own."""
        return None if self.said is None else f"{one_line(self.event.agent or 'hive'):<12}  {self.said}"

    @property
    def tone(self) -> str:
        """The word that a face may colour the line by: how much it matters."""
        return tone_of(self.event)


def with_words(event: Event, said: str | None) -> dict[str, Any]:
    """An event with what a person is told of it, where that is anything, and how much it matters."""
    return event.wire() | ({} if said is None else {"said": said, "tone": tone_of(event)})


def lines(
    events: Iterator[Event], *, whole: bool = False, numbered: bool = False, with_sentence: bool = False
) -> Iterator[Line]:
    """Every event with its sentence. The state of an agent is told when it has changed, and not again.

    whole: say something of every event, also of one that has no sentence. with_sentence: a program is told that, too.
    """
    conditions: dict[str | None, str | None] = {}
    # The source is closed with this generator: what it holds is given back before hive ends.
    with closing(events):  # type: ignore[type-var]
        for event in events:
            said = sentence(event)
            # A kill and the change of state beside it say the same. Whichever comes second is left out.
            if event.kind in ("container_state_changed", "killed"):
                known, conditions[event.agent] = conditions.get(event.agent), said
                said = None if said == known and not whole else said
            yield Line(event, said or (_raw(event) if whole else None), numbered, with_sentence)


def _raw(event: Event) -> str:
    return one_line(f"{event.kind} {shorter(json.dumps(event.data, ensure_ascii=False), 2 * QUOTED)}")


def after(hive: Hive, seq: int, kinds: list[str], agents: Sequence[str] = ()) -> Iterator[Event]:
    """Every event after `seq` that is there now, in pages, so that a long history needs little memory."""
    while True:
        with hive.store.read() as db:
            page = list(log.since(db, seq, kinds, agents=agents))
        yield from page
        if not page:
            return
        seq = page[-1].seq
