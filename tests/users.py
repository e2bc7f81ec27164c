"""Other users of the machine, for tests that root starts: becoming one, and a checkout that one can run."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pygit2
import pytest

from hive_core import environment
from hive_core.hostile_folders import remove

CHECKOUT = Path(__file__).resolve().parent.parent
USER = 61234
_COPIED = (
    "hive",
    "hive_agent",
    "hive_core",
    "hive_fleet",
    "hive_cmds",
    "hive_faces",
    "status_page",
    "tests",
    "pyproject.toml",
    "README.md",
)
_TOO_LARGE = shutil.ignore_patterns("playwright*", "mypy*")
# Says that this environment is made, as the copy's own interpreter would.
_STAMP = """
import sys
from pathlib import Path
from hive_core import environment
root = Path(sys.argv[1])
environment.stamp(root, environment.wanted(root))
"""


def become(user: int | None) -> list[str]:
    """The beginning of an argv that runs as a plain user."""
    return [] if user is None else ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


@functools.cache
def runnable(user: int | None) -> tuple[str, Path]:
    """The interpreter and the checkout as this user can run them.

    The checkout, or the Python that the tests run with, may lie where only their own user gets in (below /root): then
    it is a copy of the checkout for the system's Python, with the libraries or, where they can be reached, a link to them.
    """
    # By way of a shell: setpriv's own exec still has root's reach.
    script = 'cd "$2" && exec "$1" -c "import hive_core.settings"'
    own = [*become(user), "/bin/sh", "-c", script, "sh", sys.executable, str(CHECKOUT)]
    if user is None or subprocess.run(own, capture_output=True, check=False, cwd="/").returncode == 0:
        return sys.executable, CHECKOUT
    python = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    if not Path(python).exists():
        pytest.skip(f"needs a Python that a plain user may run, as {python}")
    place = Path(tempfile.mkdtemp(prefix="hive-copy-"))
    atexit.register(shutil.rmtree, place)
    for name in _COPIED:
        original = CHECKOUT / name
        (shutil.copytree if original.is_dir() else shutil.copy)(original, place / name)
    _provide_packages(user, python, place)
    subprocess.run([python, "-c", _STAMP, str(place)], check=True, cwd=place)
    subprocess.run(["chmod", "-R", "a+rX", str(place)], check=True)
    # What hive compiles it keeps there, also of Python's own: once, and not at each start.
    compiled = place / ".venv" / "pycache"
    compiled.mkdir()
    os.chown(compiled, user, user)
    return python, place


def _provide_packages(user: int, python: str, place: Path) -> None:
    own, theirs = packages_of(CHECKOUT), packages_of(place)
    theirs.parent.mkdir(parents=True)
    reached = [*become(user), python, "-c", "import pygit2"]
    environment = {"PYTHONPATH": str(own)}
    if subprocess.run(reached, env=environment, capture_output=True, check=False, cwd="/").returncode == 0:
        # They are ten thousand files, and each worker makes a copy.
        theirs.symlink_to(own)
    else:
        shutil.copytree(own, theirs, ignore=_TOO_LARGE)


def packages_of(checkout: Path) -> Path:
    """Where the libraries are that go with a checkout: our own, or those of a copy."""
    if checkout == CHECKOUT:
        return Path(pygit2.__file__).parents[1]
    return environment.packages(environment.wanted(checkout))


def run_tests_as(user: int, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run tests as this user, with a folder of its own: pytest's `arguments`, and what its environment has beside."""
    python, checkout = runnable(user)
    os.chown(folder, user, user)
    return subprocess.run(
        [
            *become(user),
            python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--basetemp",
            f"{folder}/t",
            *arguments,
        ],
        capture_output=True,
        text=True,
        check=False,
        cwd=checkout,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": f"{checkout}:{packages_of(checkout)}",
            "PYTHONDONTWRITEBYTECODE": "1",
            **environment,
        },
    )


@contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody can reach; pytest closes its own to others."""
    folder = Path(tempfile.mkdtemp(prefix="hive-open-")).resolve()
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        remove(folder)
