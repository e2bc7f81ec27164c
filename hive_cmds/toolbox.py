"""What every container is given to run its turn loop with: the harness, a Python, and the agents' CLIs."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

from hive_agent.clis import CLIS
from hive_core.settings import Settings

# What lies here is seen in every container already, read-only.
_SYSTEM = (Path("/usr"), Path("/opt"))


@dataclass(slots=True)
class Toolbox:
    """read_only: path inside -> folder on the machine. harness: its argv. environment: what it is told by."""

    read_only: dict[str, Path] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    harness: tuple[str, ...] = ()


def inside(settings: Settings) -> Toolbox:
    """Where everything is inside a container; only what is not part of the system is shown in addition."""
    box = Toolbox(read_only={"/hive/hive_agent": settings.source / "hive_agent"})
    box.harness = (_python(box), "-I", "-B", "/hive/hive_agent", "run")
    for name, cli in CLIS.items():
        found = program(settings, name)
        if found is not None:
            _keep(settings, name)
            box.environment[cli.variable] = _shown(box, name, found)
    return box


def program(settings: Settings, name: str) -> Path | None:
    """The file of a CLI on this machine, links followed; None where it is not installed."""
    found = _named(settings, name)
    return None if found is None else _native(found.resolve())


def _named(settings: Settings, name: str) -> Path | None:
    """What the environment names, else what was used last, else what the PATH has.

    Which CLI an agent has must not depend on the shell that happens to restart it.
    """
    kept = _kept(settings, name)
    found = settings.programs.get(name) or (str(kept) if kept.exists() else shutil.which(name))
    return Path(found).absolute() if found is not None and Path(found).exists() else None


def _kept(settings: Settings, name: str) -> Path:
    return settings.home / "clis" / name


def _keep(settings: Settings, name: str) -> None:
    """Remember which CLI is used, by its place: what is installed there later is used then."""
    kept, found = _kept(settings, name), _named(settings, name)
    if found is None or found == kept or (kept.is_symlink() and kept.readlink() == found):
        return
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = kept.with_name(f".{name}.{os.getpid()}.{threading.get_ident()}")
    made.symlink_to(found)
    made.replace(kept)


def _native(found: Path) -> Path:
    """The program that a launcher from npm only starts: it lies in a package beside that one, and needs no node."""
    if found.suffix != ".js":
        return found
    package = found.parent.parent
    places = f"vendor/{os.uname().machine}-*/bin/{found.stem}"
    for packages in (package.parent, package / "node_modules" / package.parent.name):
        for native in packages.glob(f"{package.name}-*/{places}"):
            return native.resolve()
    return next(package.glob(places), found)


def _python(box: Toolbox) -> str:
    """The interpreter that hive runs with; one that is not the system's is shown with its library."""
    executable = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}").resolve()
    if executable.is_relative_to("/usr"):
        return str(executable)
    box.read_only["/hive/python"] = Path(sys.base_prefix).resolve()
    return f"/hive/python/bin/{executable.name}"


def _shown(box: Toolbox, name: str, found: Path) -> str:
    """The path of a CLI inside; its folder is shown where it is not part of the system."""
    if any(found.is_relative_to(folder) for folder in _SYSTEM):
        return str(found)
    # What a native program from npm needs lies beside its `bin`.
    folder = found.parent.parent if found.parent.parent.parent.name == "vendor" else found.parent
    box.read_only[f"/hive/{name}"] = folder
    return f"/hive/{name}/{found.relative_to(folder)}"
