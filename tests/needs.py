"""What a test needs of the machine: skipped with the reason where it is missing, but never in CI, which installs it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGES = {
    "bwrap": "bubblewrap",
    "systemd-socket-activate": "systemd",
    "unshare": "util-linux",
    "systemd-analyze": "systemd",
    "systemd-nspawn": "systemd-container",
    "chromium": "chromium",
    "redis-server": "redis-server",
    "claude": "npm: @anthropic-ai/claude-code",
    "codex": "npm: @openai/codex",
}

_DAEMON = "/nix/var/nix/daemon-socket/socket"


def requires(*programs: str) -> pytest.MarkDecorator:
    """Skip a test where one of these programs is not installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    packages = ", ".join(PACKAGES.get(program, program) for program in missing)
    return pytest.mark.skipif(
        bool(missing) and "CI" not in os.environ, reason=f"needs {', '.join(missing)} (install {packages})"
    )


# nix without a daemon works only for whom the store belongs to.
_NIX = shutil.which("nix") and (os.access("/nix/var/nix", os.W_OK) or os.access(_DAEMON, os.W_OK))
needs_nix = pytest.mark.skipif(
    not _NIX and "CI" not in os.environ, reason="needs nix, with its store or its daemon (install nix-bin)"
)
needs_root = pytest.mark.skipif(os.geteuid() != 0 and "CI" not in os.environ, reason="needs root")


@functools.cache
def other_python() -> str:
    """Another version of Python than the one that runs the tests; skips the test where there is none."""
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    kept = sorted(Path(os.environ.get("PYENV_ROOT", "/nonexistent")).glob("versions/3.*/bin/python3"))
    named = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    for python in (*named, *map(str, kept)):
        told = [python, "-c", "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        version = subprocess.run(told, capture_output=True, text=True, check=False).stdout.strip() if python else ""
        if version and version != own and tuple(map(int, version.split("."))) >= (3, 11):
            return str(python)
    pytest.skip("needs another version of Python, from 3.11 on")
