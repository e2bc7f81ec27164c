"""What every container is given to run its turn loop with: the harness, a Python, and the agents' CLI."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

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
    claude = settings.claude or shutil.which("claude")
    if claude is not None and Path(claude).exists():
        box.environment["HIVE_CLAUDE"] = _claude(box, Path(claude).resolve())
    return box


def _python(box: Toolbox) -> str:
    """The interpreter that hive runs with; one that is not the system's is shown with its library."""
    executable = Path(sys.base_prefix, "bin", f"python{sys.version_info[0]}.{sys.version_info[1]}").resolve()
    if executable.is_relative_to("/usr"):
        return str(executable)
    box.read_only["/hive/python"] = Path(sys.base_prefix).resolve()
    return f"/hive/python/bin/{executable.name}"


def _claude(box: Toolbox, program: Path) -> str:
    if any(program.is_relative_to(folder) for folder in _SYSTEM):
        return str(program)
    box.read_only["/hive/claude"] = program.parent
    return f"/hive/claude/{program.name}"
