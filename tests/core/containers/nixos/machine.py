"""A machine for the backend nixos: real nix, and stand-ins for what only a NixOS has, over a folder."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

from hive_core.containers.base import Threaded
from hive_core.containers.nixos.places import ROOT
from tests.nix.evaluating import CHECKOUT, CONFIG, NIXPKGS, nix

STAND_INS = CHECKOUT / "tests/stand_ins"
# Says that the machine has all that itself: a booted one, in which the tests are run once more.
REAL = "HIVE_TEST_BOOTED"
PLAYED = ("nixos-container", "systemctl", "journalctl")


@contextmanager
def machine(folder: Path) -> Iterator[Path]:
    """Have this process be on such a machine; on the one it is on already, where it is on one. Its folder."""
    if ROOT in os.environ or REAL in os.environ:
        yield Path(os.environ.get(ROOT, "/"))
        return
    with pytest.MonkeyPatch.context() as patch:
        for name, value in installed(folder).items():
            patch.setenv(name, value)
        yield folder


def installed(folder: Path) -> dict[str, str]:
    """Make such a machine in a folder; the environment that has a process be on it."""
    programs = folder / "bin"
    programs.mkdir(parents=True)
    for name in PLAYED:
        told = f"root={folder} program={name} python={sys.executable} stand_ins={STAND_INS}"
        (programs / name).write_text(f"#!/bin/sh\n{told}\n. $stand_ins/nixos.sh\n")
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:{os.environ['PATH']}", ROOT: str(folder), "NIX_CONFIG": CONFIG, "HIVE_TESTING": "1"}


@cache
def _hash() -> str:
    import tempfile

    with tempfile.TemporaryDirectory() as home:
        return nix(Path(home), "nix", "hash", "path", str(NIXPKGS)).strip()


def maker(repository: Path) -> None:
    """Put into a repository of hive what makes systems, with the tests' nixpkgs."""
    shutil.copytree(CHECKOUT / "nix", repository / "nix")
    pinned = {"type": "path", "path": str(NIXPKGS), "narHash": _hash()}
    (repository / "nix/nixpkgs.json").write_text(json.dumps(pinned))


def has_built(containers: Path, hive: str) -> None:
    """Have a backend begin with what its first build with a hive leaves: what that builds from is kept."""
    folder = containers / ".roots"
    folder.mkdir(parents=True)
    (folder / f"nixpkgs-{hive}").symlink_to(NIXPKGS)


def threaded(name: str) -> Threaded:
    return Threaded(8100, "she/her", name == "manager")
