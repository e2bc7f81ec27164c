"""Where hive keeps things, by the environment, and how the operator wants them, by their settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from hive_core import choices
from hive_core.choices import Choices
from hive_core.errors import HiveError, Invalid


class Settings(NamedTuple):
    """Where things are, and how the operator wants them.

    home: `$HIVE_HOME`, what is remembered. run: `$HIVE_RUN`, sockets. source: the checkout or package that hive runs
    from. environment: what of the environment goes before the operator's settings.
    """

    home: Path
    run: Path
    source: Path
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def choices(self) -> Choices:
        """The operator's settings as they hold now. Raises HiveError for a file that cannot be used."""
        return choices.read(self.home, self.environment)

    @property
    def choices_or_defaults(self) -> Choices:
        """The same for who only looks: with a file that cannot be used, what holds without one."""
        try:
            return self.choices
        except HiveError:
            return choices.defaults(self.environment)

    @property
    def pronouns(self) -> str:
        return str(self.choices.values["pronouns"])

    @property
    def backend(self) -> str:
        """What drives the containers: a name in hive_core/containers/backends.py.

        With a file that cannot be used the default: agents can be seen and ended all the same, and none is started.
        """
        return str(self.choices_or_defaults.values["backend"])

    @property
    def flake(self) -> str | None:
        """The url of the `hive` input, or None for the checkout itself."""
        found: str | None = self.choices.values["flake"]
        return found

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

    Raises Invalid when a path is not absolute or not UTF-8.
    """
    root = os.geteuid() == 0
    user_home = Path(environ.get("HOME") or "/nonexistent")
    state = Path(environ.get("XDG_STATE_HOME") or user_home / ".local/state")
    runtime = environ.get("XDG_RUNTIME_DIR") or _runtime_folder()
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
    return Settings(
        home=home,
        run=run,
        source=Path(__file__).resolve().parent.parent,
        environment=choices.chosen(environ),
    )


def _runtime_folder() -> str | None:
    """This user's runtime folder, for a shell of cron's or su's that does not say: their sockets lie where they do."""
    folder = Path(f"/run/user/{os.geteuid()}")
    try:
        return str(folder) if folder.stat().st_uid == os.geteuid() else None
    except OSError:
        return None


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
