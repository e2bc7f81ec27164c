"""Nix as hive calls it: what an agent's files say is evaluated within bounds, and built where builds are kept apart.

Whose fault it is when it fails is tried out: a build of nothing, which no configuration has a say in, shows whether
the machine can build at all.
"""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hive_core.containers.nixos.places import TESTING
from hive_core.errors import BuildFailed, HiveError, ProgramFailed, Refused, TookTooLong, WroteTooMuch
from hive_core.process import Completed, run

EVALUATION_SECONDS, BUILD_SECONDS = 600.0, 6 * 3600.0
# For what nobody has approved yet, and somebody waits for.
LOOKING_SECONDS = 60.0
EVALUATION_BYTES = 8 * 2**30
OLDEST = (2, 8)
# A network of its own, in which nobody is. What nix asks a daemon goes by a socket that is a file.
_ALONE = ("unshare", "--net", "--")
_OPTIONS = {
    # A build that happens while an agent's files are looked at.
    "allow-import-from-derivation": "false",
    # Several at once get into each other's way in it.
    "eval-cache": "false",
}
# What nix does to itself when an expression has no end; other signals come from outside.
_ITS_OWN = (signal.SIGABRT, signal.SIGSEGV)
_STORE, _STATE = Path("/nix/store"), Path("/nix/var/nix")
# A disk with less is full, to nix; and what it says then of a build that has failed. A build that says so itself waits
# to be tried again, as that of a full disk does.
_ROOM = 8 * 2**20
_NO_ROOM = "lack of free disk space"
MOST_WORDS = 8000
_STORED = re.compile(r"/[A-Za-z0-9/._-]*/[0-9a-z]{32}-[A-Za-z0-9+._?=-]+")
_CHATTER = ("warning:", "building '", "this derivation will be", "these ", "  /nix/store/")


class TheMachine(HiveError):
    """Nix cannot work here now, whatever it is asked to build."""


@dataclass(frozen=True, slots=True)
class System:
    """An agent's system as it was evaluated: what builds it, where it is once it is built, and what it is made from."""

    drv: str
    out: str
    nixpkgs: str


def evaluate(folder: Path) -> dict[str, System]:
    """The agents' systems that a flake's folder makes. Raises BuildFailed, or TheMachine."""
    systems = _evaluated(folder, "systems", (), EVALUATION_SECONDS)
    for name, found in systems.items():
        # It is an agent's Nix that says them: one that is no path would be an option of the program that is given it.
        if wrong := [text for text in found.values() if not (isinstance(text, str) and _STORED.fullmatch(text))]:
            raise BuildFailed(f"The system of {name} is no derivation: it has {str(wrong[0])[:200]!r} for a path.")
    return {name: System(**found) for name, found in systems.items()}


def describe(folder: Path) -> dict[str, dict[str, list[str]]]:
    """What the agents' systems have, by topic; evaluated without a network. Raises as `evaluate`."""
    found: dict[str, dict[str, list[str]]] = _evaluated(folder, "described", _ALONE, LOOKING_SECONDS)
    return found


def _evaluated(folder: Path, attribute: str, around: Sequence[str], seconds: float) -> Any:
    limited = ("prlimit", f"--as={EVALUATION_BYTES}", "--")
    evaluation = ("eval", "--json", "--no-write-lock-file", *_options(), f"path:.#{attribute}")
    try:
        done = _run([*around, *limited, "nix", *_features(), *evaluation], cwd=folder, timeout=seconds)
    except TookTooLong as error:
        raise BuildFailed(f"Its Nix was not evaluated within {seconds:g} seconds.") from error
    except WroteTooMuch as error:
        raise BuildFailed("Its Nix comes to more text than a system is described by.") from error
    _judge(done)
    return json.loads(done.stdout)


def realise(drvs: Sequence[str], root: Path | None = None) -> None:
    """Build derivations; as many of them as can be. root: a link that keeps the one. Raises as `evaluate`."""
    kept = [] if root is None else ["--add-root", str(root), "--indirect"]
    _judge(_run(["nix-store", "--realise", "--keep-going", *drvs, *kept], timeout=BUILD_SECONDS))


def keep(outs: Sequence[str], root: Path) -> list[Path]:
    """Keep what is built of these from being collected as garbage; the links that do, in their order."""
    _judge(_run(["nix-store", "--realise", *outs, "--add-root", str(root), "--indirect"], timeout=BUILD_SECONDS))
    # nix numbers them, from the second on.
    return [root, *(root.with_name(f"{root.name}-{number}") for number in range(2, len(outs) + 1))]


def invalid(outs: Sequence[str]) -> set[str]:
    """Which of these are not built, whatever a build that failed may have left there."""
    done = _run(["nix-store", "--check-validity", "--print-invalid", *outs])
    _alive(done)
    return set(done.stdout.split())


def set_profile(profile: Path, system: Path) -> None:
    """Have a profile lead to a system; the one before is kept by its number."""
    _alive(_run(["nix-env", "--profile", str(profile), "--set", str(system)]))


def forget_old(profile: Path) -> None:
    """Have a profile keep what it leads to alone."""
    _alive(_run(["nix-env", "--profile", str(profile), "--delete-generations", "old"]))


def require_safe() -> None:
    """Raise Refused where a build could do more than build: an agent's Nix is a program of the agent's."""
    found = settings()
    for wrong, advice in unsafe(found) if TESTING not in os.environ else ():
        raise Refused(f"Nothing is built here: {wrong}.", advice)


def unsafe(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What of nix's settings lets a build do more than build, and what to do about it."""
    wrong = []
    if found.get("sandbox") is not True:
        wrong.append(
            ("nix builds without a sandbox", "Set sandbox = true in nix.conf (nix.settings.sandbox on NixOS).")
        )
    if os.geteuid() == 0 and not found.get("build-users-group") and os.environ.get("NIX_REMOTE", "") != "daemon":
        wrong.append(("nix would build as root", "Set build-users-group = nixbld in nix.conf, as NixOS does."))
    return wrong


def settings() -> dict[str, Any]:
    """Nix's settings, by their names. Raises TheMachine where there is no nix that hive can use."""
    try:
        done = _run(["nix", *_features(), "show-config", "--json"])
        return {name: item["value"] for name, item in json.loads(done.stdout).items()}
    except (ProgramFailed, ValueError, KeyError, TypeError, AttributeError) as error:
        found = version()
        if found < OLDEST:
            raise TheMachine(f"This nix is {_dotted(found)}; hive needs {_dotted(OLDEST)} or newer.") from error
        _alive(done)
        raise TheMachine(f"nix says of its settings what cannot be read: {done.stdout[:200]!r}") from error


def version() -> tuple[int, ...]:
    """The version of nix. Raises TheMachine where there is none."""
    try:
        done = _run(["nix", "--version"])
    except ProgramFailed as error:
        raise TheMachine(error.message, "The backend nixos needs nix: it is for NixOS.") from error
    digits = done.stdout.strip().rpartition(" ")[2].split(".")
    if done.code or len(digits) < 2 or not all(part.isdigit() for part in digits[:2]):
        raise TheMachine(f"`nix --version` says {done.stdout.strip() or done.stderr.strip()!r}, which is no version.")
    return tuple(int(part) for part in digits[:2])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def probe() -> None:
    """Build nothing, in a way that it never was. Raises TheMachine where even that cannot be done."""
    text = f'derivation {{ name = "hive-probe"; system = "{os.uname().machine}-linux"; builder = "/bin/sh"; '
    text += f'args = [ "-c" "echo {os.urandom(8).hex()} > $out" ]; }}'
    made = _run(["nix-instantiate", *_options(), "--expr", text])
    _alive(made)
    _alive(_run(["nix-store", "--realise", made.stdout.strip()]))


def _judge(done: Completed) -> None:
    """Raise BuildFailed for what the configuration is to blame for, TheMachine for what it is not."""
    if done.code == 0:
        return
    if done.code < 0 and -done.code not in _ITS_OWN:
        raise TheMachine(f"nix was ended by {signal.Signals(-done.code).name}.", "Try again.")
    # What was half-built is gone by now, and with it what had filled the disk.
    if _NO_ROOM not in done.stderr:
        probe()
        raise BuildFailed(_words(done))
    _alive(done)


def _alive(done: Completed) -> None:
    if done.code:
        raise TheMachine(f"Nix cannot build here now: {_words(done)}", _advice(done))


def _advice(done: Completed) -> str:
    """What to do about a machine that cannot build. Of its store's disk nix says little that can be understood."""
    with suppress(OSError):
        # NixOS has the store itself read-only for all but nix, though not what is beside it.
        if os.statvfs(_STATE).f_flag & os.ST_RDONLY:
            return f"{_STATE} is read-only. Mount it for writing, and try again: the kernel's log may say why it is so."
        disk = os.statvfs(_STORE)
        if disk.f_bavail * disk.f_frsize < _ROOM or _NO_ROOM in done.stderr:
            return f"The disk of {_STORE} is full: `nix-collect-garbage` removes what nothing needs. Then try again."
    return "Mend that, and try again: see `hive doctor`."


def _words(done: Completed) -> str:
    """What nix, and the build that it ran, say of what went wrong; not what it was about to do."""
    lines = [line for line in done.stderr.strip().splitlines() if not line.startswith(_CHATTER)]
    text = "\n".join(lines) or f"it ended with {done.code} and said nothing"
    return text if len(text) <= MOST_WORDS else f"{text[: MOST_WORDS // 2]}\n[...]\n{text[-MOST_WORDS // 2 :]}"


def _features() -> list[str]:
    return ["--extra-experimental-features", "nix-command flakes"]


def _options() -> list[str]:
    return [word for name, value in _OPTIONS.items() for word in ("--option", name, value)]


def _run(argv: Sequence[str], *, cwd: Path | None = None, timeout: float = 60.0) -> Completed:
    own = {name: value for name, value in os.environ.items() if name.startswith("NIX_")}
    # Ends itself, and what it builds, with whoever called it: a killed hive leaves no build behind.
    return run(argv, env={"HOME": "/root", **own}, cwd=cwd, timeout=timeout, check=False, under_us="TERM")
