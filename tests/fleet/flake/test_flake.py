"""The meta flake under real nix: every agent's system is what its configuration and hive's lock make of it."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from hive_core import nix_text
from hive_core.errors import Refused
from hive_fleet.changes import spawns
from hive_fleet.flake import flake, meta
from hive_fleet.home import ports
from tests.git import commit, git
from tests.hives import TestHive
from tests.needs import needs_nix
from tests.nix.evaluating import CHECKOUT, NIXPKGS, NixRefusedIt, nix

TOPLEVEL = "config.system.build.toplevel"
ALPHABET = [*"\"\\$'{}%# a\n\r\t\x01\x1b\x7fä\u202e\u2028🐝", "${", "''", "\\n", "''${"]
ODD = 'they/"them" \\ ${HOME} %h \' $(id) é 🐝\ttab\r\nsecond line'


def pinned(home: Path) -> str:
    """What says which nixpkgs a hive builds from: the tests' own."""
    found = nix(home, "nix", "hash", "path", str(NIXPKGS)).strip()
    return json.dumps({"type": "path", "path": str(NIXPKGS), "narHash": found})


@pytest.fixture
def made(hive: TestHive) -> TestHive:
    """A hive that is built from a repository with what makes systems, and with the tests' nixpkgs."""
    base = hive.root / "base"
    base.mkdir()
    git(base, "init", "-q", "-b", "main")
    shutil.copytree(CHECKOUT / "nix", base / "nix")
    commit(base, {"nix/nixpkgs.json": pinned(hive.root), "hive_agent/run.py": ""})
    hive.extra["HIVE_FLAKE"] = flake.local_url(base, "ref", "main")
    return hive


def build(hive: TestHive, name: str) -> dict[str, Any]:
    """Build an agent's system, from exactly what is locked; its services."""
    attribute = f"{hive.home}/meta#nixosConfigurations.{name}.{TOPLEVEL}"
    nix(
        hive.root,
        "nix",
        "build",
        "--no-update-lock-file",
        "--out-link",
        str(hive.root / name),
        f"git+file://{attribute}",
    )
    services: dict[str, Any] = json.loads((hive.root / name / "services.json").read_text())
    return services


# --- the text


@needs_nix
def test_three_thousand_texts_are_what_nix_reads(tmp_path: Path) -> None:
    chosen = random.Random(1)
    texts = ["".join(chosen.choices(ALPHABET, k=chosen.randrange(24))) for _ in range(3000)]
    (tmp_path / "texts.nix").write_text(f"[ {' '.join(map(nix_text.string, texts))} ]")
    argv = ["nix-instantiate", "--eval", "--strict", "--json", str(tmp_path / "texts.nix")]
    assert json.loads(nix(tmp_path, *argv)) == texts


@pytest.mark.parametrize("text", ["a\0b", "\udcff"])
def test_what_no_flake_can_hold_is_refused(text: str) -> None:
    with pytest.raises(Refused, match="no text of a flake"):
        nix_text.string(text)


# --- the systems


@needs_nix
@pytest.mark.remembered
def test_every_agent_has_a_system_that_is_built_from_the_lock_alone(made: TestHive) -> None:
    made.home.mkdir()
    (made.home / "hive.toml").write_text(f"pronouns = {json.dumps(ODD, ensure_ascii=False)}\n")
    made.run("spawn", "coder")
    spawns.spawn_manager(made.inside())
    before = made.git("meta", "rev-parse", "HEAD")
    script = build(made, "coder")["hive-agent"]["script"]
    assert "export HIVE_LABEL='coder'" in script
    assert f"export HIVE_PORT='{ports.of(made.inside(), 'coder')}'" in script
    assert ODD.replace("'", "'\\''") in script
    assert list(build(made, "manager")) == ["hive-manager"]
    assert (made.git("meta", "rev-parse", "HEAD"), made.git("meta", "status", "--porcelain")) == (before, "")
    # What was not deployed is in no system.
    made.git("applied/coder", "rm", "-q", "agent.nix")
    made.git("applied/coder", "commit", "-qm", "past hive")
    assert build(made, "coder")["hive-agent"]["script"] == script


@needs_nix
@pytest.mark.remembered
def test_one_agents_broken_file_is_no_other_agents_trouble(made: TestHive) -> None:
    for name in ("coder", "tester"):
        made.run("spawn", name)
    files = {"flake.nix": '{ inputs.evil.url = "path:/etc"; outputs = { self, evil }: { }; }'}
    made.run("approve", str(made.request("coder", 'runner = "claude"\nsettle_seconds = 0\n', files=files)))
    with pytest.raises(NixRefusedIt, match="asks for the input evil"):
        build(made, "coder")
    build(made, "tester")


@needs_nix
@pytest.mark.remembered
def test_a_hive_that_names_no_nixpkgs_says_how_it_would(made: TestHive) -> None:
    commit(made.root / "base", {"nix/nixpkgs.json": None})
    made.run("spawn", "coder")
    with pytest.raises(NixRefusedIt, match="names no nixpkgs to build agents from"):
        build(made, "coder")


@needs_nix
@pytest.mark.remembered
def test_an_installed_hive_builds_systems_as_a_checkout_does(made: TestHive) -> None:
    from dataclasses import replace

    made.run("spawn", "coder")
    installed = made.root / "site-packages"
    for part in ("nix", "hive_agent"):
        shutil.copytree(made.root / "base" / part, installed / part)
    inside = made.inside()
    inside = replace(inside, settings=inside.settings._replace(source=installed, environment=()))
    with meta.opened(inside, "a test") as opened:
        opened.stage(["coder"], ["hive"])
        opened.commit("move to what is installed")
    assert flake.url_of(flake.read_lock(inside.settings.meta)["hive"]["original"]).endswith("/home/base?ref=main")
    assert "hive-agent" in build(made, "coder")
