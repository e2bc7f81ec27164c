"""An agent's folders and repositories: made once, handed to its user, and removed only by a purge."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from hive_agent import MANAGER
from hive_agent.clis import CLIS
from hive_core import hostile_folders, run_folder, shared_folder
from hive_core.choices import SEED
from hive_core.context import Hive
from hive_core.errors import HiveError
from hive_fleet.home import ports

# The mode of a folder that an agent has for itself.
_OWN = 0o700
_AGENT_NIX = b"""# Packages and NixOS options of this agent's container (used by the nixos backend).
{ pkgs, ... }: {
  environment.systemPackages = [ ];
}
"""
# Called with `self` alone: a configuration has no inputs of its own.
_FLAKE_NIX = """# The NixOS module of this agent's container (used by the nixos backend).
{
  outputs = { self }: {
    nixosModules.default = {
      imports = [ ./agent.nix ];
      programs.git.config.user = { name = "NAME"; email = "NAME@hive"; };
    };
  };
}
"""


def default_config(hive: Hive, name: str) -> dict[str, bytes]:
    """The files of a new agent's configuration, as the operator's settings want it. Raises HiveError."""
    from hive_core.toml_text import dumps

    text = dumps({**SEED, **hive.settings.choices.new_agents})
    return {
        "agent.toml": f"# What this agent runs. Every key is explained in docs/agent.md.\n{text}".encode(),
        "agent.nix": _AGENT_NIX,
        "flake.nix": _FLAKE_NIX.replace("NAME", name).encode(),
    }


def ensure(hive: Hive, name: str, users: Mapping[str, int | None], *, new: bool) -> None:
    """Make whatever is missing of an agent's folders and repositories.

    users: the user of each agent. new: this agent has never run, so any free port will do.
    """
    ensure_state(hive, name, users.get(name), new=new)
    ensure_repositories(hive, name, users.get(MANAGER))


def ensure_state(hive: Hive, name: str, uid: int | None, *, new: bool) -> None:
    """Make the agent's own folders where they are missing and hand them to its user.

    Only `state` and the login folders belong to the agent's user; the folder around them does not, so the agent cannot
    rename or replace anything in it.
    """
    folder = hive.agent_path(name)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for own in ("state", *(cli.credentials.folder for cli in CLIS.values())):
        (folder / own).mkdir(mode=_OWN, exist_ok=True)
        give(folder / own, uid)
        # Its user can close it to itself, and no start would succeed any more.
        if (folder / own).stat().st_mode & _OWN != _OWN:
            (folder / own).chmod(_OWN)
    ports.settle_on(hive, name, new=new)


def ensure_sockets(hive: Hive, name: str) -> Path:
    """Make the folder that holds the agent's socket; the socket itself is made by the gate. Raises Refused."""
    run_folder.claim(hive.settings)
    folder = hive.settings.sockets / name
    shared_folder.make(folder)
    return folder


def ensure_repositories(hive: Hive, name: str, manager_uid: int | None) -> None:
    """Make the applied repository and the proposers' clones of it, where they are missing.

    A configuration that lies in the operator's `config` already (written by hand, or kept by a destroy) is
    what the applied repository starts from; without one a default is seeded.
    """
    from hive_core.git.repository import Repository

    applied, config = hive.applied_path(name), hive.agent_path(name) / "config"
    if not applied.exists():
        shared_folder.make(applied.parent)
        _adopt(config, applied) if config.exists() else Repository.create(
            applied, default_config(hive, name), f"Seed {name}"
        )
    if not config.exists():
        Repository.clone(Repository(applied), config, origin=str(applied))
    ensure_managers_clone(hive, name, manager_uid)


def _adopt(config: Path, applied: Path) -> None:
    """Start the applied repository from the commit that an existing configuration has checked out."""
    from hive_core.errors import Refused
    from hive_core.git.repository import Repository
    from hive_core.git.revision import head_revision

    revision = head_revision(config)
    if revision is None:
        raise Refused(f"{config} is there, but is no git repository with a commit.", "Commit in it, or remove it.")
    Repository.adopt(applied, config, revision)


def ensure_managers_clone(hive: Hive, name: str, manager_uid: int | None) -> None:
    """Make the clone in which the manager edits this agent's configuration, and its link to the applied repository.

    The operator's and the manager's clones are two: git runs what a repository's own settings name, so the
    operator must never run git in one that an agent can write.
    """
    from hive_core.git.repository import Repository

    with _held(hive.settings.proposed, name) as folder:
        link = folder / "applied.git"
        if not link.is_symlink():
            link.symlink_to(f"/applied/{name}/.git")
        if not (folder / "config").exists():
            applied = Repository(hive.applied_path(name))
            owner = None if manager_uid is None else (manager_uid, manager_uid)
            Repository.clone(applied, folder / "config", origin=f"/agents/{name}/applied.git", owner=owner)


@contextmanager
def _held(parent: Path, name: str) -> Iterator[Path]:
    """A folder that others may look into, made where it is missing: a path by which it is this one, whatever takes its
    name meanwhile.

    Where hive is no root, the manager is its user, and can put a link in the place of what it is shown: what hive made
    there would be made wherever that leads. Raises HiveError.
    """
    shared_folder.make(parent)
    with suppress(FileExistsError):
        (parent / name).mkdir()
    try:
        folder = os.open(parent / name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise HiveError(
            f"{parent / name} is no folder, but a link or a file.", "Remove it: the manager has put it there."
        ) from error
    try:
        held = Path(f"/proc/self/fd/{folder}")
        shared_folder.make(held)
        yield held
    finally:
        os.close(folder)


def give_clones(hive: Hive, uid: int | None) -> None:
    """Hand the manager the clones that were made before there was a manager."""
    for config in hive.settings.proposed.glob("*/config"):
        give(config, uid)


def give(folder: Path, uid: int | None) -> None:
    """Make `uid` the owner of a folder and of all in it, unless it is already. Raises HiveError."""
    if uid is None or folder.stat(follow_symlinks=False).st_uid == uid:
        return
    try:
        hostile_folders.hand_over(folder, uid)
    except OSError as error:
        raise HiveError(
            f"{folder} could not be handed over: {error.strerror}.", "See who still writes there."
        ) from error


def remove(hive: Hive, name: str, *, kept: Sequence[str] = ()) -> None:
    """Remove an agent's folders, but for those that `kept` names: 'state', 'applied', 'proposed'. There is no undo."""
    places = {
        "proposed": hive.settings.proposed / name,
        "applied": hive.applied_path(name),
        "sockets": hive.settings.sockets / name,
        "state": hive.agent_path(name),
    }
    for place, folder in places.items():
        anothers = place == "sockets" and run_folder.is_anothers(hive.settings)
        if place not in kept and os.path.lexists(folder) and not anothers:
            _remove(folder)


def _remove(folder: Path) -> None:
    try:
        hostile_folders.remove(folder)
    except OSError as error:
        # A second purge continues where this one stopped.
        raise HiveError(f"{folder} could not be removed: {error.strerror}.", "See who still writes there.") from error
