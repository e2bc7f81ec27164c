"""The agents' own records of their turns, trimmed as each agent, in a sandbox: one agent's trouble stays its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hive_agent.turns import trimming
from hive_core.containers.base import View
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_core.human import natural
from hive_core.text import one_line
from hive_fleet.agents import table
from hive_fleet.upkeep.swept import DAY, Swept, contained

# Seconds that one agent's record may take; what is left then is done the next time.
LONGEST = 40.0
STATE = "/state"


def sweep(hive: Hive, dry: bool) -> Iterator[Swept]:
    """Trim the record of every agent that has a container."""
    with hive.store.read() as db:
        users = table.users(db)
    there = hive.host.containers()
    for name in sorted(users.keys() & there.keys(), key=natural):
        yield from contained(f"record of {name}", partial(_trimmed, hive, name, users[name], dry))


def _trimmed(hive: Hive, name: str, uid: int | None, dry: bool) -> Iterator[Swept]:
    choices = hive.settings.choices.values
    days, newest = choices["retention.turns"], choices["retention.turn_events"]
    view = View(uid, {STATE: hive.agent_path(name) / "state"}, {}, {})
    arguments = (STATE, str(hive.clock() - days * DAY), str(newest), "dry" if dry else "")
    source = Path(trimming.__file__).read_text()
    told = _understood(name, hive.host.errand(name, view, source, arguments, seconds=LONGEST))
    yield Swept(
        f"record of {name}",
        True,
        told["events"],
        told["size"],
        f"events of its turns, older than {days} d or beyond the newest {newest}",
    )


def _understood(name: str, text: str) -> dict[str, int]:
    """What the agent's side says of it, which may be anything. Raises HiveError with what is wrong."""
    try:
        told = json.loads(text)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        told = {"trouble": one_line(text[:200]) or "nothing was said"}
    if "trouble" in told:
        trouble = one_line(str(told["trouble"])[:300])
        hint = f"`hive stop {name}`, move its state/events.sqlite away, `hive start {name}`: it begins a new one."
        raise HiveError(f"{trouble}.", hint)
    if not all(type(told.get(key)) is int and 0 <= told[key] < 2**53 for key in ("events", "size")):
        raise HiveError("What was said of it makes no sense.")
    return told
