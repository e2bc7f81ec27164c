"""What a service is told now, and when to look again. Pure: of what it was told before, what there is, and the time."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from hive_fleet.needs.need import Need
from hive_fleet.notifications.rules import MINUTE, Rule, Wishes

HOUR, DAY = 3600.0, 1440
# Seconds before anything is told: what is over by then, as a request that is approved in one, needs nobody.
SETTLED = 2.0
# Seconds after which a service is told anew of what has changed, or is there again: a loop is told of once.
SAME = 900.0
# Of the notifications of an hour half may be of one agent alone, and so many in any case: one that asks question after
# question must not keep the operator from what happens to the others.
LEAST_SHARE = 3


class Telling(NamedTuple):
    """What a service was told last of a need. content: its fingerprint then. at: unix seconds."""

    content: str
    at: float


class Past(NamedTuple):
    """What a service was told. tellings: last of each need. hour: when, and of which kinds, in the last hour.

    alone: by agent, when in the last hour it was told of nothing but that one.
    """

    tellings: Mapping[str, Telling]
    hour: Sequence[tuple[float, frozenset[str]]]
    alone: Mapping[str, Sequence[float]] = MappingProxyType({})


class Clock(NamedTuple):
    """The time. now: unix seconds. minute: minutes since midnight, where the operator is."""

    now: float
    minute: float


class Decision(NamedTuple):
    """needs: what is told now, together. next_at: when there may be something to tell; None where nothing waits."""

    needs: tuple[Need, ...]
    next_at: float | None


class _Held(NamedTuple):
    """One that is to be told: not before `at`, and until `due` only together with others."""

    need: Need
    at: float
    due: float


def decide(before: Past, now: Sequence[Need], wishes: Wishes, service: str, clock: Clock) -> Decision:
    """Decide what a service is told.

    now: what the operator has not acknowledged.
    """
    held = [found for need in now if (found := _held(before, need, wishes, service, clock)) is not None]
    free = _free_at(before, None, wishes.most, clock)
    if free <= clock.now and any(each.due <= clock.now for each in held):
        chosen = tuple(each.need for each in held if each.at <= clock.now)
        return Decision(chosen, min((each.due for each in held if each.at > clock.now), default=None))
    return Decision((), min((max(each.due, free) for each in held), default=None))


def fingerprint(need: Need, rule: Rule) -> str:
    """What tells whether a need is another than it was, for somebody who is told this much of it."""
    content = need.content if rule.words else (need.agent, need.said, need.command, need.weight)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:16]


def is_again(before: Past, need: Need, rule: Rule) -> bool:
    """Whether a service was told of a need already as it is."""
    last = before.tellings.get(need.id)
    return last is not None and last.content == fingerprint(need, rule) and (need.since or 0) <= last.at


def _held(before: Past, need: Need, wishes: Wishes, service: str, clock: Clock) -> _Held | None:
    """When a need may be told, and is; None for never."""
    rule = wishes.rules[need.kind]
    # Through a service that takes nothing nobody hears of it.
    if service not in rule.to or need.weight < rule.least or need.id == f"notification/{service}":
        return None
    last = before.tellings.get(need.id)
    if is_again(before, need, rule):
        if last is None or not rule.repeat:
            return None
        at = due = last.at + rule.repeat
    else:
        since = float(need.since or 0)
        at = max(since + SETTLED, 0.0 if last is None else last.at + SAME)
        due = max(at, since + rule.digest)
    own = _room_at(before.alone.get(need.agent or "", ()), max(LEAST_SHARE, wishes.most // 2), clock)
    free = max(_free_at(before, need.kind, rule.most, clock), own, _loud_at(rule, clock))
    return _Held(need, max(at, free), max(due, free))


def _free_at(before: Past, kind: str | None, most: int, clock: Clock) -> float:
    """When the next notification may go, so that there are at most so many an hour: of a kind, or of any."""
    return _room_at([at for at, kinds in before.hour if kind is None or kind in kinds], most, clock)


def _room_at(sent: Sequence[float], most: int, clock: Clock) -> float:
    """When one more may go after these, so that there are at most so many an hour."""
    recent = sorted(at for at in sent if clock.now - HOUR < at <= clock.now)
    return clock.now if len(recent) < most else recent[-most] + HOUR


def _loud_at(rule: Rule, clock: Clock) -> float:
    """Now, or the end of the quiet hours."""
    if rule.quiet is None:
        return clock.now
    begin, end = rule.quiet
    # Over midnight the hours begin before they end on the day after.
    quiet = begin <= clock.minute < end if begin < end else not end <= clock.minute < begin
    return clock.now + ((end - clock.minute) % DAY) * MINUTE if quiet else clock.now
