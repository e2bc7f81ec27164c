"""What a request changes of its agent's system, by what is deployed and what is proposed, evaluated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.text import one_line
from hive_fleet.flake import meta
from hive_fleet.requests.consequences import Consequence, Weight

_Things = Mapping[str, frozenset[str]]
MOST_NAMED = 20
LONGEST_REASON = 200
_NONE: frozenset[str] = frozenset()
_OTHERS = {Weight.WIDENS: Weight.NARROWS, Weight.NARROWS: Weight.WIDENS}
# What is said of each topic of a system: of what it gets, and of what is gone.
_SENTENCES = {
    "users": ("has the users", "no longer has the users"),
    "ports": ("opens the ports", "no longer opens the ports"),
    "mounts": ("mounts", "no longer mounts"),
    "units": ("has the units", "no longer has the units"),
    "packages": ("has the packages", "no longer has the packages"),
    "environment": ("sets for its programs", "no longer sets for its programs"),
    "limits": ("bounds", "no longer bounds"),
}


def of(hive: Hive, agent: str, before: str, after: str) -> list[Consequence]:
    """What changes from one revision of its repository to another; nothing where the backend evaluates no system.

    May take minutes. That it cannot be told is one of the consequences.
    """
    told = partial(hive.host.configuration_of, agent, hive.applied_path(agent), lock=partial(meta.lock, hive))
    try:
        new = told(after)
        old = None if new is None else told(before)
    except (HiveError, OSError) as error:
        reason = error.message if isinstance(error, HiveError) else str(error)
        words = f"has a system that could not be looked at: {one_line(reason.strip())[:LONGEST_REASON]}"
        return [Consequence("agent.nix", Weight.NEUTRAL, words)]
    return [] if new is None or old is None else list(differences(old, new))


def differences(old: _Things, new: _Things) -> Iterator[Consequence]:
    """What is added, then what is gone. A limit that is gone is what widens."""
    for weight, first, second, place in ((Weight.WIDENS, new, old, 0), (Weight.NARROWS, old, new, 1)):
        for topic, words in _SENTENCES.items():
            if things := first.get(topic, _NONE) - second.get(topic, _NONE):
                heavy = _OTHERS[weight] if topic == "limits" else weight
                yield Consequence(topic, heavy, f"{words[place]} {_named(things)}")


def _named(things: frozenset[str]) -> str:
    ordered = sorted(map(one_line, things))
    rest = len(ordered) - MOST_NAMED
    return ", ".join(ordered[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
