"""The programs that every container is shown: a Python for the turn loop, and the agents' CLIs."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from hive_agent import atomic
from hive_agent.clis import CLIS
from hive_core.containers import private
from hive_core.containers.private import Private
from hive_core.errors import Refused
from hive_core.settings import Settings

# What lies here is seen in every container already, read-only.
_SYSTEM = (Path("/usr"), Path("/opt"), Path("/nix/store"))
_ELSEWHERE = "Install it by npm, or move the file to /usr/local/bin, /opt or a folder of its own."


@dataclass(slots=True)
class Programs:
    """What is shown, and how it is found inside.

    read_only: path inside -> file or folder on the machine. environment: variables that name the CLIs inside.
    harness: the command line that starts the harness.
    """

    read_only: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    harness: tuple[str, ...] = ()


def inside(settings: Settings) -> Programs:
    """The programs as a container finds them. What is not part of the system is shown in addition.

    Only a program's own files are shown, never the folder they happen to be in. Raises Refused for what cannot be.
    """
    box = Programs()
    box.harness = (python(box), "-I", "-B", "/hive/hive_agent", "run")
    hidden = private.find(settings)
    for name, cli in CLIS.items():
        found = _found(settings, name, hidden)
        if found is not None:
            _keep(settings, name)
            box.environment[cli.variable] = _shown(box, hidden, name, found)
    return box


def find(settings: Settings, name: str) -> Path | None:
    """The file of a CLI on this machine, links followed; None where it is not installed.

    Raises Refused for one that no container may be shown, and for what the environment names that is no program.
    """
    return _found(settings, name, private.find(settings))


def _found(settings: Settings, name: str, hidden: Private) -> Path | None:
    named = _named(settings, name)
    if named is None:
        return None
    found = _native(named.resolve())
    if not found.is_file() or not os.access(found, os.X_OK):
        by = settings.choices.named_by(f"clis.{name}")
        raise Refused(f"{by} names {named}, which is no program.", "Name the program's own file.")
    reason = hidden.why_no_program(_own(found))
    if reason is not None:
        raise Refused(f"No agent can be shown {_own(found)}, for {name}: {reason}.", _ELSEWHERE)
    return found


def _named(settings: Settings, name: str) -> Path | None:
    """What the operator's settings name, else what was found on the PATH last, else what the PATH has now.

    Which CLI an agent has must not depend on the shell that happens to restart it.
    """
    kept = _kept(settings, name)
    found = settings.choices.programs.get(name) or shutil.which(kept) or shutil.which(name)
    return Path(found).absolute() if found is not None and Path(found).exists() else None


def _kept(settings: Settings, name: str) -> Path:
    return settings.home / "clis" / name


def _keep(settings: Settings, name: str) -> None:
    """Remember the path of the CLI that was found on the PATH: whatever is installed there later is used, too.

    A CLI that the settings name need not be remembered, and one that the environment names is for that process alone.
    """
    kept, found = _kept(settings, name), _named(settings, name)
    if name in settings.choices.programs:
        return
    if found is None or found == kept or (kept.is_symlink() and kept.readlink() == found):
        return
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    atomic.link(kept, found)


def _native(found: Path) -> Path:
    """The native program that npm's launcher starts: it is in a package beside the launcher, and needs no node."""
    if found.suffix != ".js":
        return found
    package = found.parent.parent
    places = f"vendor/{os.uname().machine}-*/bin/{found.stem}"
    for packages in (package.parent, package / "node_modules" / package.parent.name):
        for native in packages.glob(f"{package.name}-*/{places}"):
            return native.resolve()
    return next(package.glob(places), found)


def _own(program: Path) -> Path:
    """What a program needs: the package that npm installed it in, else its file alone."""
    for folder in program.parents:
        above = folder.parent.parent if folder.parent.name.startswith("@") else folder.parent
        if above.name == "node_modules":
            return folder
    return program


def python(box: Programs) -> str:
    """The interpreter that hive runs with, as it is found inside; one that is not the system's is shown by `box`."""
    import sysconfig

    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    executable = Path(sys.base_prefix, "bin", version).resolve()
    if any(executable.is_relative_to(system) for system in ("/usr", "/nix/store")):
        return str(executable)
    # Not their common folder, which may hold anything: ~/.local, or somebody's home.
    inside = f"/hive/python/bin/{version}"
    box.read_only[inside] = executable
    for library in {"lib", sys.platlibdir}:
        box.read_only[f"/hive/python/{library}"] = Path(sys.base_prefix, library).resolve()
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        # Such a build has the path of its shared library compiled in.
        shared = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME"))
        box.read_only[str(shared)] = shared.resolve()
    return inside


def _shown(box: Programs, hidden: Private, name: str, found: Path) -> str:
    """The path of a CLI inside; its own files are shown where it is not part of the system."""
    if any(found.is_relative_to(folder) for folder in _SYSTEM) and not hidden.hides(found):
        return str(found)
    own = _own(found)
    inside = f"/hive/{name}/{own.name}" if own == found else f"/hive/{name}"
    box.read_only[inside] = own
    return inside if own == found else f"{inside}/{found.relative_to(own)}"
