"""`hive journal`: what agents' containers wrote. Only the journals of agents' own containers can be read by it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated

from hive_core.arguments import AgentName, choice, whole, words
from hive_core.containers.base import HARNESS_UNITS
from hive_core.context import Hive
from hive_core.errors import Invalid, NotFound
from hive_core.human import iso
from hive_core.merged import merged
from hive_core.moments import GivenMoment, Moment
from hive_core.operation import BARE, LOOKING_AFTER, OPERATOR, Only, operation
from hive_fleet.agents import table

LINES, MOST_LINES = 100, 5000
# Lines that are looked through where only some of them are wanted: more than a journal holds.
MOST_LOOKED_THROUGH = 10_000_000

LineCount = Annotated[int, whole(1, MOST_LINES, "the number of lines", "N")]
Unit = Annotated[str, choice(HARNESS_UNITS, "a unit of the harness", "UNIT")]
Pattern = Annotated[str, words(200, "the text to look for", "TEXT")]


@dataclass(frozen=True, slots=True)
class JournalLine:
    """A line of one of several journals. line: when it was written, a blank, what was."""

    agent: str
    line: str
    width: int

    def wire(self) -> dict[str, str]:
        """Whose line it is, and the line."""
        return {"agent": self.agent, "line": self.line}

    def text(self) -> str:
        """The line behind the name of whose it is."""
        return f"{self.agent:<{self.width}}  {self.line}"


@operation(callers=LOOKING_AFTER, group="Seeing", reads=True, empty="It has written nothing, or nothing like that.")
def journal(
    hive: Hive,
    name: AgentName,
    others: Annotated[list[AgentName] | None, BARE] = None,
    unit: Unit | None = None,
    lines: LineCount | None = None,
    since: GivenMoment | None = None,
    until: GivenMoment | None = None,
    grep: Pattern | None = None,
    follow: Annotated[bool, Only(OPERATOR)] = False,
) -> list[str] | list[JournalLine] | Iterator[str] | Iterator[JournalLine]:
    """Show the last lines of an agent's journal, or of several agents', each then behind its name.

    name: whose journal
    others: whose besides
    unit: only what this unit wrote, hive-agent.service or hive-manager.service; without it everything
    lines: how many, at most 5000; 100, or all of the time that is asked for
    since: only what was written then or later: 2h or 30min ago, 14:30, yesterday, 2026-01-31
    until: only what was written until then
    grep: only lines with this text in them; case matters where it has a capital
    follow: go on and show further lines as they are written
    """
    names = list(dict.fromkeys([name, *(others or [])]))
    for each in names:
        _require_container(hive, each)
    if since is not None and until is not None and since.at > until.at:
        raise Invalid("Nothing is in between: --since is later than --until.", "Give the earlier time to --since.")
    units = [unit] if unit else []
    count = lines or (LINES if since is None and until is None else MOST_LINES)
    wanted = _wanted(since, until, grep)
    if follow:
        if until is not None:
            raise Invalid("What is followed has no end: give --follow or --until, not both.")
        return _following(hive, names, units, count, wanted, all_of_it=since is not None or grep is not None)
    looked_through = count if not (since or until or grep) else MOST_LOOKED_THROUGH
    from_then = since.at if since else 0.0
    found = {each: list(filter(wanted, hive.host.journal(each, looked_through, units, since=from_then)))[-count:]
             for each in names}  # fmt: skip
    if len(names) == 1:
        return found[name]
    width = max(map(len, names))
    every = (JournalLine(each, line, width) for each, written in found.items() for line in written)
    return sorted(every, key=lambda one: one.line[:24])[-count:]


def _require_container(hive: Hive, name: str) -> None:
    if hive.host.container(name) is None:
        with hive.store.read() as db:
            table.one(db, name)
        raise NotFound(f"{name} has no container.", f"`hive start {name}` makes it.")


def _wanted(since: Moment | None, until: Moment | None, grep: str | None) -> Callable[[str], bool]:
    """Whether a line is one of those that are asked for. It begins with its time, so that texts tell what is later."""
    first, last = iso(since.at) if since else "", iso(until.at) if until else "~"
    folded = grep is not None and grep == grep.lower()

    def is_wanted(line: str) -> bool:
        return first <= line and line[:24] <= last and (grep is None or grep in (line.lower() if folded else line))

    return is_wanted


def _following(
    hive: Hive, names: list[str], units: list[str], count: int, wanted: Callable[[str], bool], *, all_of_it: bool
) -> Iterator[str] | Iterator[JournalLine]:
    """The last lines of each, and every further one. all_of_it: those that are wanted may lie further back."""
    begin = {name: partial(_one, hive, name, units, count, wanted, all_of_it) for name in names}
    if len(names) == 1:
        return begin[names[0]]()
    return _several(begin)


def _one(
    hive: Hive, name: str, units: list[str], count: int, wanted: Callable[[str], bool], all_of_it: bool
) -> Iterator[str]:
    if not all_of_it:
        yield from hive.host.follow_journal(name, count, units)
        return
    before = list(filter(wanted, hive.host.journal(name, MOST_LOOKED_THROUGH, units)))[-count:]
    yield from before
    # What was written in between is among the last lines again.
    with closing(hive.host.follow_journal(name, MOST_LINES, units)) as further:  # type: ignore[type-var]
        yield from _after(before[-1] if before else "", filter(wanted, further))


def _after(last: str, further: Iterable[str]) -> Iterator[str]:
    """The lines that come after one, which may be among them."""
    told = not last
    for line in further:
        if told or line[:24] > last[:24]:
            told = True
            yield line
        elif line == last:
            told = True


def _several(begin: Mapping[str, Callable[[], Iterator[str]]]) -> Iterator[JournalLine]:
    width = max(map(len, begin))
    with closing(merged(begin)) as lines:  # type: ignore[type-var]
        for name, line in lines:
            yield JournalLine(name, line, width)
