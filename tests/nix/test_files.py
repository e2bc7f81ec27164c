"""Nix's own view of what lies here: files that parse, the flake, the package, and the page of the options."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

import hive_core
from tests.needs import needs_nix
from tests.nix.evaluating import CHECKOUT, NIX, NIXPKGS, evaluate, nix

pytestmark = needs_nix

FILES = [CHECKOUT / "flake.nix", *sorted(NIX.glob("*.nix")), *sorted(NIXPKGS.rglob("*.nix"))]


def test_every_file_parses(tmp_path: Path) -> None:
    nix(tmp_path, "nix-instantiate", "--parse", *map(str, FILES))


@pytest.fixture(scope="module")
def flake(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The flake in a repository of its own, with the tests' nixpkgs for its input."""
    home = tmp_path_factory.mktemp("flake")
    shutil.copytree(NIX, home / "hive/nix")
    shutil.copytree(NIXPKGS, home / "nixpkgs")
    (home / "hive/hive_core").mkdir()
    shutil.copy(CHECKOUT / "hive_core/__init__.py", home / "hive/hive_core")
    text = (CHECKOUT / "flake.nix").read_text()
    (home / "hive/flake.nix").write_text(re.sub(r'"github:NixOS/nixpkgs/[^"]*"', f'"path:{home}/nixpkgs"', text))
    return home


def test_the_flake_has_a_package_modules_a_shell_checks_and_a_function(flake: Path) -> None:
    found = json.loads(nix(flake, "nix", "flake", "show", "--json", "--no-write-lock-file", f"path:{flake}/hive"))
    for system in ("x86_64-linux", "aarch64-linux"):
        assert set(found["packages"][system]) == {"default"}
        assert set(found["checks"][system]) == {"package", "vm"}
        assert set(found["devShells"][system]) == {"default"}
    assert found["packages"][f"{os.uname().machine}-linux"]["default"]["type"] == "derivation"
    assert set(found["nixosModules"]) == {"default", "agent"}
    assert {"packages", "nixosModules", "lib", "devShells", "checks"} == set(found)


def package(home: Path, more: str = "") -> Any:
    """What the builder of Python applications is asked for."""
    return evaluate(
        home,
        f"""
        let
          pkgs = import {NIXPKGS} {{ }};
          it = (pkgs.callPackage {NIX}/package.nix {{ nixpkgs = {{ outPath = "/nix/store/x-source"; narHash = "sha256-x"; }}; {more} }}).asked;
        in {{
          inherit (it) pname version postInstall pythonRelaxDeps;
          dependencies = map (package: package.name) it.dependencies;
          source = "${{it.src}}";
        }}
        """,
    )


def test_the_package_is_the_projects(tmp_path: Path) -> None:
    found = package(tmp_path)
    assert (found["pname"], found["version"]) == ("hive", hive_core.__version__)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    wanted = [re.split(r"[^A-Za-z0-9_-]", requirement)[0].replace("_", "-") for requirement in project["dependencies"]]
    assert sorted(found["dependencies"]) == sorted(wanted)
    bounded = [name for name, requirement in zip(wanted, project["dependencies"], strict=True) if "<" in requirement]
    assert found["pythonRelaxDeps"] == bounded
    assert project["scripts"]["hive"]


def test_the_package_is_made_of_what_the_project_installs(tmp_path: Path) -> None:
    source = Path(package(tmp_path)["source"])
    rooms = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")} - {"tests", "benchmarks"}
    names = {path.name for path in source.iterdir()}
    assert names == rooms | {"nix", "flake.nix", "pyproject.toml", "README.md", "LICENSE"}


def test_the_package_has_beside_its_modules_what_agents_are_built_from(tmp_path: Path) -> None:
    """What it does after the installation is done for real."""
    module = tmp_path / "everybody.nix"
    module.write_text("{ }")
    found = package(tmp_path, f"agentModules = [ {module} ];")
    site = tmp_path / "out/lib/python3/site-packages"
    site.mkdir(parents=True)
    script = f"set -e\nout={tmp_path}/out\n{found['postInstall']}"
    subprocess.run(["sh", "-c", script], cwd=found["source"], check=True)
    assert json.loads((site / "nix/nixpkgs.json").read_text()) == {
        "type": "path",
        "path": "/nix/store/x-source",
        "narHash": "sha256-x",
    }
    assert [path.read_text() for path in (site / "nix/modules").iterdir()] == ["{ }"]
    assert (site / "nix/mk-agent.nix").read_text() == (NIX / "mk-agent.nix").read_text()


def test_the_page_of_the_options_is_up_to_date() -> None:
    page = CHECKOUT / "docs/nix-options.md"
    made = runpy.run_path(str(CHECKOUT / "docs/generate.py"))["nix_options"]()
    assert page.read_text() == made, "run python3 docs/generate.py"
