"""What a service is told, and when: histories with a clock of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from hive_core.need_kinds import LIGHT, NEED_KINDS
from hive_fleet.needs.need import Need
from hive_fleet.notifications.decisions import HOUR, Clock, Past, Telling, decide, fingerprint
from hive_fleet.notifications.rules import Wishes, from_table


class Story:
    """One service, and what it is told as the time goes on. Moments are minutes since the first midnight."""

    def __init__(self, wishes: Wishes) -> None:
        self.wishes, self.now = wishes, 0.0
        self.needs: dict[str, Need] = {}
        self.tellings: dict[str, Telling] = {}
        self.sent: list[tuple[float, frozenset[str]]] = []
        self.told: list[str] = []

    def until(self, moment: float) -> None:
        """Let time go on, as whoever sends does: to the next moment at which there may be something to tell."""
        while True:
            history = Past(self.tellings, [each for each in self.sent if each[0] > self.now - HOUR])
            clock = Clock(self.now, self.now / 60 % 1440)
            decision = decide(history, list(self.needs.values()), self.wishes, "phone", clock)
            if decision.needs:
                self._send(decision.needs)
            elif decision.next_at is None or decision.next_at > moment * 60:
                self.now = moment * 60
                return
            else:
                assert decision.next_at > self.now, "it would look again and again"
                self.now = decision.next_at

    def _send(self, needs: Sequence[Need]) -> None:
        for need in needs:
            content = fingerprint(need, self.wishes.rules[need.kind])
            self.tellings[need.id] = Telling(content, self.now)
        self.sent.append((self.now, frozenset(need.kind for need in needs)))
        minutes = self.now / 60
        days = f"+{minutes // 1440:.0f} " if minutes >= 1440 else ""
        ids = " ".join(sorted(need.id for need in needs))
        self.told.append(f"{days}{minutes % 1440 // 60:02.0f}:{minutes % 60:02.0f} {ids}")

    def happens(self, what: str) -> None:
        """`crash/coder` begins, or is another after `=`, and `-crash/coder` is over or acknowledged.

        `~crash/coder` is one that can wait, as hive starts the agent again.
        """
        id, _, content = what.lstrip("-~").partition("=")
        kind, _, subject = id.partition("/")
        if what.startswith("-"):
            del self.needs[id]
            return
        since = self.needs[id].since if id in self.needs else int(self.now)
        agent = subject if NEED_KINDS[kind].of_agent else None
        weight = LIGHT if what.startswith("~") else 0
        self.needs[id] = Need(kind, subject, agent, f"said {content}", "hive list", since=since, weight=weight)


def tell(table: dict[str, Any], story: str, until: str) -> list[str]:
    """What a service was told by the end of a story; each of its lines is a moment and what happened."""
    made = Story(from_table({"services": {"phone": "ntfy://x/y"}, **table}))
    for line in story.strip().splitlines():
        moment, *happened = line.split()
        made.until(minutes(moment))
        for what in happened:
            made.happens(what)
    made.until(minutes(until))
    return made.told


def minutes(moment: str) -> float:
    days, _, clock = moment.rpartition("+")
    hours, _, rest = clock.partition(":")
    return int(days or 0) * 1440 + int(hours) * 60 + int(rest)


NIGHT = {"quiet": "22:00-07:00"}
STORIES: dict[str, tuple[dict[str, Any], str, str, list[str]]] = {
    "at once, and once": ({}, "10:00 crash/coder", "20:00", ["10:00 crash/coder"]),
    "what began together is told together": ({}, "10:00 crash/a crash/b", "11:00", ["10:00 crash/a crash/b"]),
    "what can wait is not told unless asked for": ({}, "10:00 stale/coder", "20:00", []),
    "what can wait is told when asked for": (
        {"stale": {"least": 1}}, "10:00 stale/coder", "20:00", ["10:00 stale/coder"]),
    "what is over at once is not told": ({}, "10:00 request/1 -request/1", "20:00", []),
    "a kind that goes nowhere": ({"crash": {"to": []}}, "10:00 crash/coder", "20:00", []),
    "by day quiet hours hold nothing": (NIGHT, "21:59 crash/coder", "1+12:00", ["21:59 crash/coder"]),
    "over midnight they hold it until morning": (NIGHT, "23:10 crash/coder", "1+12:00", ["+1 07:00 crash/coder"]),
    "after midnight, too": (NIGHT, "03:10 crash/coder", "12:00", ["07:00 crash/coder"]),
    "of one day": ({"quiet": "12:00-14:00"}, "11:00 crash/a\n12:00 crash/b\n13:59 crash/c", "20:00",
                   ["11:00 crash/a", "14:00 crash/b crash/c"]),
    "what was held is told in one": (NIGHT, "23:10 crash/a\n23:50 request/7", "1+12:00",
                                     ["+1 07:00 crash/a request/7"]),
    "what was over by then is not told": (NIGHT, "23:10 crash/a\n23:50 -crash/a", "1+12:00", []),
    "a kind that is told at night": ({**NIGHT, "disk": {"quiet": "off"}}, "23:10 crash/a\n23:20 disk", "1+12:00",
                                     ["23:20 disk", "+1 07:00 crash/a"]),
    "a digest holds back, and tells together": ({"digest": 15}, "10:00 request/1\n10:10 request/2", "20:00",
                                                ["10:15 request/1 request/2"]),
    "what is told at once takes along what a digest holds": (
        {"digest": 15, "crash": {"digest": 0}}, "10:00 request/1\n10:10 crash/a", "20:00",
        ["10:10 crash/a request/1"]),
    "a digest in quiet hours waits for their end": ({**NIGHT, "digest": 15}, "21:50 request/1", "1+12:00",
                                                    ["+1 07:00 request/1"]),
    "again, as long as it is not acknowledged": (
        {"repeat": 60}, "10:00 crash/a\n12:30 -crash/a", "20:00",
        ["10:00 crash/a", "11:00 crash/a", "12:00 crash/a"]),
    "again not at night": ({**NIGHT, "repeat": 60}, "21:30 crash/a\n1+07:30 -crash/a", "1+12:00",
                           ["21:30 crash/a", "+1 07:00 crash/a"]),
    "what changes is told anew": ({}, "10:00 crash/a\n11:00 crash/a=otherwise", "20:00",
                                  ["10:00 crash/a", "11:00 crash/a"]),
    "what changes again and again is told every quarter of an hour": (
        {}, "10:00 crash/a\n" + "\n".join(f"10:{minute} crash/a={minute}" for minute in range(10, 40)), "20:00",
        ["10:00 crash/a", "10:15 crash/a", "10:30 crash/a", "10:45 crash/a"]),
    "what comes again is told again": ({}, "10:00 crash/a\n10:30 -crash/a\n12:00 crash/a", "20:00",
                                       ["10:00 crash/a", "12:00 crash/a"]),
    "a loop of crashes is one": (
        {}, "\n".join(f"10:0{minute} ~crash/a\n10:0{minute} -crash/a" for minute in range(8)) + "\n10:09 crash_loop/a",
        "20:00", ["10:09 crash_loop/a"]),
    "a loop that is seen is told every quarter of an hour": (
        {}, "\n".join(f"10:{minute:02} crash/a\n10:{minute + 1:02} -crash/a" for minute in range(0, 32, 2)), "20:00",
        ["10:00 crash/a", "10:16 crash/a"]),
    "no more than so many an hour, and the rest together": (
        {"most": 3}, "\n".join(f"10:{minute} request/{minute}" for minute in range(10, 16)), "20:00",
        ["10:10 request/10", "10:11 request/11", "10:12 request/12", "11:10 request/13 request/14 request/15"]),
    "no more of one kind, while others go": (
        {"request": {"most": 1}}, "10:00 request/1\n10:10 request/2\n10:20 crash/a", "20:00",
        ["10:00 request/1", "10:20 crash/a", "11:00 request/2"]),
    "of a service that is down nothing is told through itself": ({}, "10:00 notification/phone notification/mail",
                                                                 "20:00", ["10:00 notification/mail"]),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_a_story_is_told(name: str) -> None:
    table, story, until, told = STORIES[name]
    assert tell(table, story, until) == told


def test_words_of_others_that_are_not_sent_are_no_change() -> None:
    need = Need("account_trouble", "a", "a", "has trouble", "hive journal a", "try 1", 1)
    other = Need("account_trouble", "a", "a", "has trouble", "hive journal a", "try 2", 1)
    silent, spoken = from_table({}).rules["crash"], from_table({"words": "on"}).rules["crash"]
    assert fingerprint(need, silent) == fingerprint(other, silent)
    assert fingerprint(need, spoken) != fingerprint(other, spoken)


def test_a_clock_that_was_set_back_neither_repeats_nor_silences() -> None:
    wishes = from_table({"services": {"phone": "ntfy://x/y"}, "most": 1})
    need = Need("crash", "a", "a", "crashed", "hive journal a", since=1000)
    later = Past({}, [(9000.0, frozenset({"crash"}))])
    assert decide(later, [need], wishes, "phone", Clock(1002.0, 0)).needs == (need,)
    told = Past({"crash/a": Telling(fingerprint(need, wishes.rules["crash"]), 9000.0)}, [])
    assert decide(told, [need], wishes, "phone", Clock(1000.0, 0)) == ((), None)


def test_who_asks_question_after_question_keeps_nobody_from_what_happens_to_the_others() -> None:
    wishes = from_table({"services": {"phone": "ntfy://x/y"}})
    times: list[float] = []
    for number in range(40):
        now = 36_000.0 + 3 * number
        asked = Need("question", str(number), "asker", "asker asks you", "hive answer", None, int(now) - 3)
        past = Past({}, [(at, frozenset({"question"})) for at in times], {"asker": times})
        if decide(past, [asked], wishes, "phone", Clock(now, 600)).needs:
            times.append(now)
    assert len(times) == 10
    past = Past({}, [(at, frozenset({"question"})) for at in times], {"asker": times})
    crash = Need("crash", "coder", "coder", "crashed", "hive journal coder", None, int(now) - 3)
    told = decide(past, [asked, crash], wishes, "phone", Clock(now, 600)).needs
    assert [need.id for need in told] == ["crash/coder"]
