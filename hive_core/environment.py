"""The checkout's own Python environment: made once, made again when pyproject.toml asks for other libraries."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn


def enter(root: Path) -> None:
    """Make the libraries importable; make the environment first where it is missing or out of date."""
    if not _is_ready(root, ""):
        _make(root, "")
    packages = root / ".venv" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    # Appended, and not by re-executing: the second start would cost as much as the command itself.
    sys.path.append(str(packages))


def lacking(root: Path, error: ModuleNotFoundError) -> NoReturn:
    """End with what to do about a library that the environment should hold."""
    if (error.name or "").startswith("hive"):
        raise error
    sys.exit(f"hive: {root / '.venv'} is damaged: {error}. Remove that folder; the next call makes it anew.")


def _wanted(root: Path, extra: str) -> str:
    """What the stamp must say: this interpreter, and the libraries asked for."""
    return f"{sys.version}\n{extra}\n{(root / 'pyproject.toml').read_text()}"


def _stamp(root: Path, extra: str) -> Path:
    return root / ".venv" / f"stamp{'-' + extra if extra else ''}"


def _is_ready(root: Path, extra: str) -> bool:
    try:
        return _stamp(root, extra).read_text() == _wanted(root, extra)
    except FileNotFoundError:
        return False


def _make(root: Path, extra: str) -> None:
    import fcntl

    if not os.access(root, os.W_OK):
        sys.exit(f"hive: {root} belongs to somebody else, and is not made ready for you: make your own clone.")
    with (root / ".venv.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _is_ready(root, extra):
            _install(root, extra)


def _install(root: Path, extra: str) -> None:
    import shutil
    import subprocess

    folder = root / ".venv"
    sys.stderr.write("hive: making its Python environment (once)…\n")
    if not (folder / "bin" / "pip").exists() or not _same_python(folder):
        shutil.rmtree(folder, ignore_errors=True)
        made = subprocess.run([sys.executable, "-m", "venv", folder], capture_output=True, text=True, check=False)
        if made.returncode != 0:
            shutil.rmtree(folder, ignore_errors=True)
            sys.exit(_without_venv(made.stdout + made.stderr))
    wanted = _dependencies(root, extra)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted]
    installed = subprocess.run(pip, capture_output=True, text=True, check=False)
    if installed.returncode != 0:
        sys.exit(f"hive: could not install {', '.join(wanted)}:\n{installed.stderr}\nIs the package index reachable?")
    _stamp(root, extra).write_text(_wanted(root, extra))


def _same_python(folder: Path) -> bool:
    return (folder / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}").is_dir()


def _dependencies(root: Path, extra: str) -> list[str]:
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return [*project["dependencies"], *(project["optional-dependencies"][extra] if extra else [])]


def _without_venv(output: str) -> str:
    if "ensurepip" in output:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            "hive: this Python cannot make an environment, because its venv package is missing.\n"
            f"On Debian or Ubuntu: sudo apt-get install python3-venv   (or python{version}-venv), then call hive again."
        )
    return f"hive: could not make the environment:\n{output}"


if __name__ == "__main__":  # python3 -m hive_core.environment test: what ./tests/run needs
    checkout = Path(__file__).resolve().parent.parent
    os.chdir(checkout)
    for name in ("", *sys.argv[1:]):
        if not _is_ready(checkout, name):
            _make(checkout, name)
