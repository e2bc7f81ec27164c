"""What an agent's container sees of hive, and what it is told by its environment."""

from __future__ import annotations

from pathlib import Path

from hive_agent import MANAGER
from hive_agent.clis import CLIS
from hive_core import shared_folder
from hive_core.containers.base import View
from hive_core.context import Hive
from hive_fleet.agents import table
from hive_fleet.flake import meta
from hive_fleet.home import folders, ports


def view_of(hive: Hive, name: str) -> View:
    """What the agent's container may see; what is missing of it is made. Raises NotFound.

    That is its state, its login and its socket; the manager sees the repositories, too.
    """
    with hive.store.read() as db:
        agent = table.one(db, name)
    uid = agent["uid"]
    folders.ensure_state(hive, name, uid, new=False)
    if name == MANAGER:
        folders.give_clones(hive, uid)
    read_write, read_only = _shown(hive, name)
    return View(uid, read_write, read_only, _environment(hive, name), meta.lock(hive, agent["hive_rev"]))


def _shown(hive: Hive, name: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """What of hive's own folders is shown, by the path inside: what may be written, and what may only be read."""
    folder = hive.agent_path(name)
    read_write = {"/state": folder / "state"}
    # Every CLI's, whichever it runs: a change of the runner keeps the other login.
    read_write |= {f"/{cli.credentials.folder}": folder / cli.credentials.folder for cli in CLIS.values()}
    read_only = {"/run/hive": folders.ensure_sockets(hive, name)}
    if name == MANAGER:
        for shared in (hive.settings.proposed, hive.settings.applied, hive.settings.meta):
            shared_folder.make(shared)
        read_write["/agents"] = hive.settings.proposed
        read_only |= {"/applied": hive.settings.applied, "/meta": hive.settings.meta}
    return read_write, read_only


def _environment(hive: Hive, name: str) -> dict[str, str]:
    environment = {
        "HIVE_LABEL": name,
        "HIVE_ROLE": "manager" if name == MANAGER else "agent",
        "HIVE_SOCKET": "/run/hive/agent.sock",
        "HIVE_STATE": "/state",
        "HIVE_CONFIG": "/config/agent.toml",
        "HIVE_PORT": str(ports.of(hive, name)),
        "HIVE_OPERATOR_PRONOUNS": hive.settings.pronouns,
    }
    environment |= {cli.credentials.variable: f"/{cli.credentials.folder}" for cli in CLIS.values()}
    return environment | (_git_environment(name) if name == MANAGER else {})


def _git_environment(name: str) -> dict[str, str]:
    """Git for the manager: the applied repositories belong to another user, which git refuses unless told."""
    return {
        "GIT_CONFIG_SYSTEM": "/hive/hive_agent/gitconfig",
        "GIT_AUTHOR_NAME": name,
        "GIT_AUTHOR_EMAIL": f"{name}@hive",
        "GIT_COMMITTER_NAME": name,
        "GIT_COMMITTER_EMAIL": f"{name}@hive",
    }
