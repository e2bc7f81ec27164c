"""hive as `pip install .` leaves it, beside what it runs on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hives import CHECKOUT, TestHive, eventually
from tests.house import FLOORS

PACKAGES = tuple(FLOORS)
_LITTER = shutil.ignore_patterns("__pycache__", "*.pyc")


@pytest.fixture
def installed(tmp_path: Path) -> tuple[Path, str]:
    """Where it was installed, and what was said meanwhile."""
    source, prefix = tmp_path / "source", tmp_path / "prefix"
    for name in PACKAGES:
        shutil.copytree(CHECKOUT / name, source / name, ignore=_LITTER)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    pip = [sys.executable, "-m", "pip", "install", "--verbose", "--disable-pip-version-check", "--no-deps"]
    argv = [*pip, "--no-build-isolation", "--prefix", str(prefix), str(source)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return prefix, done.stdout + done.stderr


def test_an_installed_hive_is_whole_and_runs(installed: tuple[Path, str], hive: TestHive) -> None:
    prefix, said = installed
    # What setuptools tells of today it refuses tomorrow.
    assert "deprecat" not in said.lower()
    packages = prefix / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for name in PACKAGES:
        ours = {path.relative_to(CHECKOUT) for path in (CHECKOUT / name).rglob("*") if path.is_file()}
        missing = [path for path in ours if "__pycache__" not in path.parts and not (packages / path).exists()]
        assert not missing
    hive.extra["PYTHONPATH"] = str(packages)
    program = [str(prefix / "bin" / "hive")]
    hive.configure("coder", 'runner = "claude"\n')
    hive.run("spawn", "coder", program=program)
    hive.start("up", program=program)
    eventually(lambda: {row["name"]: row["running"] for row in hive.asked("list")} == {"coder": True, "manager": True})
    hive.run("kill", "coder", program=program)
