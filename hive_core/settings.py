"""Where hive keeps things and how it was asked to behave: read from the environment once, passed on."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hive_agent.clis import CLIS
from hive_core.errors import Invalid

MANAGER = "manager"
BACKENDS = ("local",)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything the environment decides.

    home: `$HIVE_HOME`, what is remembered. run: `$HIVE_RUN`, sockets. backend: `$HIVE_BACKEND`.
    pronouns: `$HIVE_OPERATOR_PRONOUNS`. source: the checkout or package that hive runs from.
    flake: `$HIVE_FLAKE`, the url of the `hive` input, or None for the checkout itself.
    programs: `$HIVE_CLAUDE`, `$HIVE_CODEX`: the agents' CLIs by name, where they are not on the PATH.
    """

    home: Path
    run: Path
    backend: str
    pronouns: str
    source: Path
    flake: str | None
    programs: Mapping[str, str]

    @property
    def database(self) -> Path:
        return self.home / "hive.db"

    @property
    def agents(self) -> Path:
        return self.home / "agents"

    @property
    def applied(self) -> Path:
        return self.home / "applied"

    @property
    def meta(self) -> Path:
        return self.home / "meta"

    @property
    def containers(self) -> Path:
        """The local backend's own: generations, journals, exit records."""
        return self.home / "containers"

    @property
    def proposed(self) -> Path:
        """The manager's clones of every agent's configuration: `<name>/config`; the manager writes them."""
        return self.home / "proposed"

    @property
    def sockets(self) -> Path:
        """One folder per container with its socket in it: a folder can be mounted before the socket is there."""
        return self.run / "sockets"

    @property
    def locks(self) -> Path:
        return self.home / "locks"


def from_environment(environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises Invalid when a path is not absolute or not UTF-8, or the backend is unknown.
    """
    root = os.geteuid() == 0
    user_home = Path(environ.get("HOME") or "/nonexistent")
    state = Path(environ.get("XDG_STATE_HOME") or user_home / ".local/state")
    runtime = environ.get("XDG_RUNTIME_DIR")
    home = Path(environ.get("HIVE_HOME") or ("/var/lib/hive" if root else state / "hive"))
    # Without a runtime folder of the user's own the sockets go into the private home, never into a shared /tmp.
    own_run = Path(runtime) / "hive" if runtime else home / "run"
    run = Path(environ.get("HIVE_RUN") or ("/run/hive" if root else own_run))
    for variable, path in (("HIVE_HOME", home), ("HIVE_RUN", run)):
        if not path.is_absolute():
            raise Invalid(f"{variable} is {str(path)!r}, which is not an absolute path.")
        if not _is_text(path):
            raise Invalid(
                f"{variable} is {str(path)!a}: that is not UTF-8, and what hive keeps about it is.",
                f"Name another folder, as in {variable}=/srv/hive.",
            )
    backend = environ.get("HIVE_BACKEND") or "local"
    if backend not in BACKENDS:
        raise Invalid(f"HIVE_BACKEND is {backend!r}; this hive knows: {', '.join(BACKENDS)}.")
    return Settings(
        home=home,
        run=run,
        backend=backend,
        pronouns=environ.get("HIVE_OPERATOR_PRONOUNS") or "she/her",
        source=Path(__file__).resolve().parent.parent,
        flake=environ.get("HIVE_FLAKE") or None,
        programs={name: own for name, cli in CLIS.items() if (own := environ.get(cli.variable))},
    )


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
