"""Nix for tests: expressions evaluated over a nixpkgs of the tests' own, and units as NixOS would write them.

Where HIVE_TEST_NIXPKGS_LIB names a copy of nixpkgs' lib (the folder with its default.nix), all is judged with it, too.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent.parent
NIX = CHECKOUT / "nix"
NIXPKGS = Path(__file__).parent / "nixpkgs"
REAL_LIB = os.environ.get("HIVE_TEST_NIXPKGS_LIB")
LIBS = ["stub", *(["real"] if REAL_LIB else [])]
# Settings for tests alone: builds are programs of whoever calls, and nothing is asked of the network.
CONFIG = """\
experimental-features = nix-command flakes
flake-registry =
substituters =
build-users-group =
sandbox = false
allow-import-from-derivation = false
"""


class NixRefusedIt(Exception):
    """What nix said was wrong."""


def environment(home: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "NIX_CONFIG": CONFIG, "LC_ALL": "C.UTF-8"}


def nix(home: Path, *argv: str) -> str:
    """Run a program of nix's in a folder, which is its home as well; returns what it printed."""
    done = subprocess.run(argv, cwd=home, env=environment(home), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NixRefusedIt(done.stderr)
    return done.stdout


def evaluate(home: Path, expression: str) -> Any:
    """The value of an expression."""
    return json.loads(
        nix(home, "nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", "-E", expression)
    )


def nixpkgs(kind: str, folder: Path) -> Path:
    """A nixpkgs with the tests' lib (kind "stub"), or with the real one."""
    if kind == "stub":
        return NIXPKGS
    copy = folder / "nixpkgs"
    if not copy.exists():
        shutil.copytree(NIXPKGS, copy)
        shutil.rmtree(copy / "lib")
        shutil.copytree(str(REAL_LIB), copy / "lib")
    return copy


@pytest.fixture(scope="module", params=LIBS)
def packages(request: pytest.FixtureRequest) -> Iterator[Path]:
    """The nixpkgs to evaluate over, one after the other; tests write beside it."""
    with tempfile.TemporaryDirectory(prefix="hive-nix-") as folder:
        yield nixpkgs(request.param, Path(folder).resolve())


def machine(packages: Path, home: Path, module: str) -> Any:
    """A machine with services.hive and one more module, in Nix: its units, files, and what it refuses."""
    return evaluate(
        home,
        f"""
        let
          lib = import {packages}/lib;
          pkgs = import {packages} {{ inherit lib; }};
          inherit (lib.evalModules {{
            specialArgs = {{ inherit pkgs; }};
            modules = [ {packages}/nixos/options.nix {NIX}/module.nix {{ services.hive.enable = lib.mkDefault true; }} ({module}) ];
          }}) config;
        in {{
          inherit (config.systemd) services timers;
          rules = config.systemd.tmpfiles.rules;
          groups = config.users.groups;
          containers = config.boot.enableContainers;
          refused = map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions);
        }}
        """,
    )


def quoted(text: str) -> str:
    """A text in Nix, for tests, by another way than hive's."""
    return f"(builtins.fromJSON {_indented(json.dumps(text))})"


def _indented(text: str) -> str:
    return "''" + text.replace("''", "'''").replace("${", "''${") + "''"


def written(folder: Path, name: str, service: Mapping[str, Any], **more: str) -> Path:
    """The files of a unit as NixOS writes them: the script in a file of its own. more: instead of what the unit says."""
    script = folder / f"{name}-start"
    script.write_text(f"#!/bin/sh\nset -e\n{service['script']}\n")
    script.chmod(0o755)
    path = ":".join(f"{package}/bin" for package in [*service["path"], "/usr"])
    sections = {
        "Unit": {"Description": service["description"], "After": service["after"], **service["unitConfig"]},
        "Service": {"Environment": f'"PATH={path}"', **service["serviceConfig"], "ExecStart": str(script), **more},
    }
    unit = folder / f"{name}.service"
    unit.write_text("".join(_section(title, lines) for title, lines in sections.items()))
    return unit


def _section(title: str, lines: Mapping[str, Any]) -> str:
    return f"[{title}]\n" + "".join(f"{key}={_spelt(value)}\n" for key, value in lines.items())


def _spelt(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
