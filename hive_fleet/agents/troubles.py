"""What an agent needs the operator for, by what is shown of it and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hive_core.need_kinds import LIGHT
from hive_core.text import one_line
from hive_fleet.needs.need import Need

KINDS = frozenset(
    {
        *("crash", "crash_loop", "stuck", "no_program", "needs_login", "key_refused", "account_trouble"),
        *("repair", "port_taken", "stale"),
    }
)


def troubles(shown: Mapping[str, Any]) -> list[Need]:
    """What is wrong with an agent that it cannot mend itself. Pure. shown: as `container_state_changed` tells it."""
    return [*_crash(shown), *_account(shown), *_others(shown)]


def _crash(shown: Mapping[str, Any]) -> Iterator[Need]:
    name, cause = shown["name"], shown.get("cause") or "it is not known why"
    if shown.get("crash_loop"):
        said = f"crashed again and again, and is left alone for now: {cause}"
        yield Need("crash_loop", name, name, said, f"hive start {name}")
    elif shown["failed"] and shown.get("restart_at"):
        yield Need("crash", name, name, f"crashed, and is restarted: {cause}", f"hive journal {name}", weight=LIGHT)
    elif shown["failed"]:
        yield Need("crash", name, name, f"crashed: {cause}", f"hive journal {name}")


def _account(shown: Mapping[str, Any]) -> Iterator[Need]:
    name, turn = shown["name"], shown.get("turn")
    # Its harness's own words.
    quote = one_line(shown["status_text"]) if shown.get("status_text") else None
    if turn == "no_program":
        # Before the login: which that program would do.
        said = f"lacks the program that runs its turns: install it, then `hive restart {name}`"
        yield Need("no_program", name, name, said, "hive doctor", quote)
    elif turn == "key_refused":
        yield Need("key_refused", name, name, "has a key that was refused", f"hive login {name}", quote)
    elif turn == "account_trouble":
        yield Need("account_trouble", name, name, "has trouble with its account", f"hive journal {name}", quote)
    elif shown.get("stuck_since"):
        yield Need("stuck", name, name, "makes no progress", f"hive nudge {name}")
    elif shown["needs_login"]:
        yield Need("needs_login", name, name, "needs a login", f"hive login {name}")


def _others(shown: Mapping[str, Any]) -> Iterator[Need]:
    name = shown["name"]
    if shown.get("repair"):
        yield left_half_done(name, shown["repair"])
    if shown.get("port_taken"):
        said = f"has another program on its port, {shown['port_taken']}"
        yield Need("port_taken", name, name, said, "hive doctor")
    if shown["needs_update"]:
        yield Need("stale", name, name, "was built with another hive than there is now", "hive update --stale")


def left_half_done(name: str, error: str) -> Need:
    """A repair of an agent that has failed, with what it failed with."""
    return Need("repair", name, name, "was left half-done and cannot be mended", "hive doctor", one_line(error))
