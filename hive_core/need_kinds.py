"""The kinds of what needs the operator: how much each matters, and whether it is said of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

# How much something matters: what should go on does not; somebody waits; it can wait.
GRAVE, WAITING, LIGHT = 3, 2, 1


class NeedKind(NamedTuple):
    """One kind. weight: how much it matters, unless said otherwise. of_agent: what is said begins with an agent."""

    weight: int
    of_agent: bool = True


NEED_KINDS: Mapping[str, NeedKind] = {
    "request": NeedKind(WAITING, of_agent=False),
    "question": NeedKind(WAITING, of_agent=False),
    "crash": NeedKind(GRAVE),
    "crash_loop": NeedKind(GRAVE),
    "no_program": NeedKind(GRAVE),
    "needs_login": NeedKind(GRAVE),
    "stuck": NeedKind(WAITING),
    "key_refused": NeedKind(GRAVE),
    "account_trouble": NeedKind(GRAVE),
    "repair": NeedKind(GRAVE),
    "port_taken": NeedKind(LIGHT),
    "stale": NeedKind(LIGHT),
    "disk": NeedKind(GRAVE, of_agent=False),
    "backup": NeedKind(LIGHT, of_agent=False),
    "page_port": NeedKind(LIGHT, of_agent=False),
    "settings": NeedKind(WAITING, of_agent=False),
    "notification": NeedKind(WAITING, of_agent=False),
}
