"""An agent's system: what hive decides stays as it is, what the agent's files say arrives, and what they may not is refused."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hive_core.containers.base import HARNESS_UNITS
from hive_fleet.home.folders import _AGENT_NIX, _FLAKE_NIX
from tests.needs import needs_nix, requires
from tests.nix.evaluating import NIX, NixRefusedIt, evaluate, packages, quoted, written

__all__ = ["packages"]
pytestmark = needs_nix

TOML = 'runner = "claude"\n'
SEEDED = {"agent.toml": TOML, "agent.nix": _AGENT_NIX.decode(), "flake.nix": _FLAKE_NIX.replace("NAME", "coder")}
ODD = 'they/"them" \\ ${HOME} %h \' $(id) é 🐝\ttab\r\nsecond line'
# A harness that says what reached it.
TELLS = "import json, os\nprint(json.dumps(dict(os.environ)))\n"


def system(packages: Path, home: Path, files: Mapping[str, str], **arguments: str) -> Any:
    """What is made of an agent with these files; arguments in Nix."""
    source, harness = home / "source", home / "harness"
    for path, text in {
        **{f"source/{name}": text for name, text in files.items()},
        "harness/hive_agent/__main__.py": TELLS,
    }.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    given = {"name": '"coder"', "port": "8123", "pronouns": '"she/her"', "manager": "false", **arguments}
    words = " ".join(f"{key} = {value};" for key, value in given.items())
    return evaluate(
        home,
        f"""
        let inherit (import {NIX}/mk-agent.nix {{ nixpkgs = {packages}; harness = "{harness}"; }}
          {{ source = "{source}"; system = "x86_64-linux"; {words} }}) config;
        in {{
          inherit (config.systemd) services;
          packages = map (it: it.name) config.environment.systemPackages;
          git = config.programs.git.config;
          host = config.networking.hostName;
          built = config.system.build.toplevel.drvPath;
        }}
        """,
    )


def with_module(module: str) -> dict[str, str]:
    return {**SEEDED, "agent.nix": module}


def environment_of(made: Any, folder: Path) -> dict[str, str]:
    """What the program of the agent's unit is given: the unit's script is run."""
    ((name, service),) = made["services"].items()
    unit = written(folder, name, service)
    argv = [unit.with_name(f"{name}-start")]
    done = subprocess.run(argv, env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    given: dict[str, str] = json.loads(done.stdout)
    return given


# --- what arrives


def test_a_new_agents_files_make_a_system(packages: Path, tmp_path: Path) -> None:
    made = system(packages, tmp_path, SEEDED)
    assert made["host"] == "coder"
    assert made["git"] == {"user": {"name": "coder", "email": "coder@hive"}}
    assert made["built"].endswith("nixos-system-coder.drv")
    assert [f"{name}.service" for name in made["services"]] == [HARNESS_UNITS[0]]


def test_what_hive_says_reaches_the_turn_loop_unchanged(packages: Path, tmp_path: Path) -> None:
    given = environment_of(system(packages, tmp_path, SEEDED, pronouns=quoted(ODD)), tmp_path)
    assert given["HIVE_OPERATOR_PRONOUNS"] == ODD
    expected = {
        "HIVE_LABEL": "coder",
        "HIVE_ROLE": "agent",
        "HIVE_PORT": "8123",
        "HIVE_STATE": "/state",
        "HOME": "/state",
    }
    assert {key: given[key] for key in expected} == expected
    assert Path(given["HIVE_CONFIG"]).read_text() == TOML


def test_the_managers_unit_and_its_git_are_the_managers(packages: Path, tmp_path: Path) -> None:
    made = system(packages, tmp_path, SEEDED, name='"manager"', manager="true")
    assert [f"{name}.service" for name in made["services"]] == [HARNESS_UNITS[1]]
    assert environment_of(made, tmp_path)["HIVE_ROLE"] == "manager"
    assert made["git"]["safe"] == {"directory": "*"}


def test_a_command_is_run_instead_of_the_turn_loop_with_its_environment(packages: Path, tmp_path: Path) -> None:
    program = ["/usr/bin/python3", "-c", TELLS, "it's", "%h", "${X}"]
    environment = {"GREETING": "it's %h ${HOME} $(id) \\n"}
    toml = f"command = {json.dumps(program)}\n[environment]\nGREETING = {json.dumps(environment['GREETING'])}\n"
    given = environment_of(system(packages, tmp_path, {**SEEDED, "agent.toml": toml}), tmp_path)
    assert {name: given[name] for name in environment} == environment


def test_an_agents_own_file_adds_packages_and_options(packages: Path, tmp_path: Path) -> None:
    module = '{ pkgs, lib, config, ... }: { environment.systemPackages = [ pkgs.jq ]; networking.hostName = config.hive.name + "-x"; }'
    made = system(packages, tmp_path, with_module(module))
    assert (made["packages"], made["host"]) == (["jq"], "coder-x")
    ((_, service),) = made["services"].items()
    assert service["path"] == ["/run/current-system/sw"]


def test_an_agent_without_a_flake_of_its_own_is_made_of_its_agent_nix(packages: Path, tmp_path: Path) -> None:
    files = {"agent.toml": TOML, "agent.nix": "{ pkgs, ... }: { environment.systemPackages = [ pkgs.git ]; }"}
    assert system(packages, tmp_path, files)["packages"] == ["git"]


@requires("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units(packages: Path, tmp_path: Path) -> None:
    for manager in ("true", "false"):
        made = system(packages, tmp_path, SEEDED, pronouns=quoted(ODD), manager=manager)
        ((name, service),) = made["services"].items()
        # There is no user of that name here, nor a folder of its own.
        unit = written(tmp_path, name, service, User="daemon", WorkingDirectory="/")
        argv = ["systemd-analyze", "verify", "--man=no", str(unit)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == ("", "")


# --- what is refused


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", '"manager"'),
        ("port", "8000"),
        ("pronouns", '"it"'),
        ("manager", "true"),
        ("harness", '"/state"'),
        ("configuration", '"/state"'),
    ],
)
def test_what_hive_decides_is_no_agents_to_change(packages: Path, tmp_path: Path, option: str, value: str) -> None:
    for attempt in (value, f"lib.mkForce {value}", f"lib.mkIf false {value}"):
        with pytest.raises(NixRefusedIt, match=rf"hive\.{option}' is read-only, but it's set multiple times"):
            system(packages, tmp_path, with_module(f"{{ lib, ... }}: {{ hive.{option} = {attempt}; }}"))


def test_the_options_of_hive_cannot_be_declared_anew(packages: Path, tmp_path: Path) -> None:
    module = "{ lib, ... }: { options.hive.name = lib.mkOption { type = lib.types.str; }; }"
    with pytest.raises(NixRefusedIt, match=r"hive\.name' .*is already declared"):
        system(packages, tmp_path, with_module(module))


@pytest.mark.parametrize(
    "flake",
    [
        '{ inputs.evil.url = "github:evil/evil"; outputs = { self, evil }: { nixosModules.default = { }; }; }',
        '{ inputs.evil.url = "path:/etc"; outputs = { self, ... }: { nixosModules.default = { }; }; }',
        "{ outputs = { self, evil }: { nixosModules.default = { }; }; }",
    ],
)
def test_an_input_of_its_own_is_refused_by_name(packages: Path, tmp_path: Path, flake: str) -> None:
    with pytest.raises(NixRefusedIt, match=r"flake\.nix of coder asks for the input evil: .* no inputs of its own\."):
        system(packages, tmp_path, {**SEEDED, "flake.nix": flake})


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("{ nothing.here = 1; }", "nothing' does not exist"),
        ("{ networking.hostName = 1; networking.hostName = 2; }", "already defined"),
        ("{ ... }: { systemd.services.x.description = 5; }", "is not of type"),
        ('{ ... }: { assertions = [ { assertion = false; message = "It cannot be."; } ]; }', "It cannot be."),
        ("{ ... }: { environment.systemPackages = [ { } ]; }", "is not of type"),
        ("{ pkgs, ... }: { environment.systemPackages = [ pkgs.nonsense ]; }", "nonsense"),
    ],
)
def test_what_no_system_can_be_made_of_is_refused(packages: Path, tmp_path: Path, module: str, told: str) -> None:
    with pytest.raises(NixRefusedIt) as refused:
        system(packages, tmp_path, with_module(module))
    assert told in str(refused.value)


def test_nothing_is_built_while_it_is_looked_at(packages: Path, tmp_path: Path) -> None:
    """Import from derivation: a build of the agent's, run by whoever evaluates."""
    mark = tmp_path / "ran"
    module = f"""{{ pkgs, ... }}: {{ networking.hostName = import (pkgs.build "evil" "echo x > {mark}; echo '\\"x\\"' > $out"); }}"""
    with pytest.raises(NixRefusedIt, match="allow-import-from-derivation"):
        system(packages, tmp_path, with_module(module))
    assert not mark.exists()
