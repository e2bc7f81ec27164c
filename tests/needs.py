"""What a test needs of the machine: skipped with the reason where it is missing, but never in CI, which installs it."""

from __future__ import annotations

import os
import shutil

import pytest

PACKAGES = {
    "bwrap": "bubblewrap",
    "systemd-socket-activate": "systemd",
    "unshare": "util-linux",
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
