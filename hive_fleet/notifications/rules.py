"""What the operator wants to be notified of, by `[notify]` of hive.toml."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hive_core.errors import Refused
from hive_core.need_kinds import NEED_KINDS, WAITING
from hive_core.notify_toml import quiet_hours, scheme
from hive_core.settings import Settings

MINUTE = 60.0
# What holds where nothing else is said; with no quiet hours, and to every service.
DEFAULTS: Mapping[str, Any] = {
    "least": WAITING,
    "quiet": "off",
    "digest": 0,
    "repeat": 0,
    "most": 20,
    "words": "off",
}


class Service:
    """Whoever takes notifications: a URL as apprise reads it, or a command as a list of words. Neither is printed."""

    def __init__(self, name: str, address: str | Sequence[str]) -> None:
        self.name, self.address = name, address

    def __repr__(self) -> str:
        return f"<service {self.name}: {scheme(self.address if isinstance(self.address, str) else [*self.address])}>"


class Rule(NamedTuple):
    """What holds for one kind of need.

    to: the names of the services. least: the weight from which on one is told. quiet: the minutes of a day between
    which nothing is sent. digest: seconds that one may be held back, to be told together with others. repeat: seconds
    after which it is told again, unless acknowledged; 0 for never. most: notifications of an hour. words: whether the
    words of agents are sent.
    """

    to: frozenset[str]
    least: int
    quiet: tuple[int, int] | None
    digest: float
    repeat: float
    most: int
    words: bool


class Wishes(NamedTuple):
    """All of it. most: notifications of an hour to one service, of whatever kinds. link: to the status page."""

    services: Mapping[str, Service]
    rules: Mapping[str, Rule]
    most: int
    link: str | None


def wishes(settings: Settings) -> Wishes:
    """What the operator wants now. Raises HiveError for settings that cannot be used."""
    chosen = settings.choices
    if chosen.notify_error is not None:
        raise Refused(f"Nobody is notified of anything. {chosen.notify_error}")
    return from_table(chosen.notify)


def from_table(table: Mapping[str, Any]) -> Wishes:
    """What a checked table `[notify]` says."""
    services = {name: Service(name, address) for name, address in table.get("services", {}).items()}
    general = {**DEFAULTS, "to": list(services), **table}
    rules = {kind: _rule({**general, **table.get(kind, {})}) for kind in NEED_KINDS}
    return Wishes(services, rules, general["most"], table.get("link"))


def _rule(table: Mapping[str, Any]) -> Rule:
    return Rule(
        to=frozenset(table["to"]),
        least=table["least"],
        quiet=quiet_hours(table["quiet"]),
        digest=table["digest"] * MINUTE,
        repeat=table["repeat"] * MINUTE,
        most=table["most"],
        words=table["words"] == "on",
    )
