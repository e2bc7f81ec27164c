"""What the machine offers to the backend for NixOS, in words for `hive doctor`; nothing that is missing ends it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

from hive_core.containers.nixos import nix
from hive_core.errors import HiveError
from hive_core.process import run

_Row = tuple[str, bool | None, str]


def look() -> Iterator[_Row]:
    """Each thing that matters: (what, whether it is as it should be, in words)."""
    parts: dict[str, Callable[[], _Row]] = {
        "nix": _nix,
        "builds": _builds,
        "sandbox": _sandbox,
        "nixos-container": _nixos_container,
        "systemd": _systemd,
    }
    for what, part in parts.items():
        try:
            yield part()
        except (HiveError, OSError) as error:
            yield what, False, _told(error)


def _told(error: HiveError | OSError) -> str:
    """What is wrong, and what to do about it, unless that is to ask the doctor."""
    if not isinstance(error, HiveError):
        return str(error)
    advice = error.hint if error.hint is not None and "hive doctor" not in error.hint else None
    return f"{error.message.rstrip('.')}. {advice}" if advice else error.message


def _nix() -> _Row:
    found = nix.version()
    words = ".".join(map(str, found))
    old = found < nix.OLDEST
    return "nix", not old, f"{words} is too old: {'.'.join(map(str, nix.OLDEST))} or newer is needed" if old else words


def _builds() -> _Row:
    """Flakes are evaluated, the daemon answers, the store can be written."""
    nix.probe()
    return "builds", True, "nix can build here"


def _sandbox() -> _Row:
    wrong = nix.unsafe(nix.settings())
    if wrong:
        return "sandbox", False, " ".join(f"{what}. {advice}" for what, advice in wrong)
    return "sandbox", True, "builds are kept apart from the machine; an agent is a container with users of its own"


def _nixos_container() -> _Row:
    found = shutil.which("nixos-container")
    missing = "missing: set boot.enableContainers = true in the machine's configuration"
    return "nixos-container", found is not None, found or missing


def _systemd() -> _Row:
    told = run(["systemctl", "is-system-running"], check=False).stdout.strip()
    answers = told in ("running", "degraded", "starting", "maintenance", "initializing")
    return "systemd", answers, told if answers else f"no systemd runs here ({told or 'it does not answer'})"
