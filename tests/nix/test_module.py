"""services.hive: what it makes of a machine, with the tests' lib and, where there is a copy, with nixpkgs' own."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hive_core import choices
from hive_core.toml_text import dumps
from hive_faces.verbs import everything
from tests.needs import needs_nix, requires
from tests.nix.evaluating import NixRefusedIt, machine, packages, quoted, written

__all__ = ["packages"]
pytestmark = needs_nix

ODD = 'they/"them" \\ ${HOME} %h \' $(id) `id` é 🐝\ttab\r\nsecond line\x7f\x1b'
EVERYTHING = """{ lib, pkgs, ... }: {
  users.users.alice = { };
  services.hive = {
    users = [ "alice" ];
    extraPackages = [ pkgs.jq ];
    operatorPronouns = "they/them";
    limits = { memory = "75%"; tasks = 2000; cpu = 2; };
    agentModules = [ ./. ];
    stopAgents = true;
    backup.folder = "/var/backups/hive";
    settings = { backend = "local"; new_agents = { model = "opus"; limits.memory = "4G"; command = [ "sh" "-c" ]; }; };
  };
}"""


def toml(rules: list[str]) -> Path:
    """The file that becomes hive.toml."""
    (rule,) = (rule for rule in rules if "hive.toml" in rule)
    assert rule.startswith("L+ /var/lib/hive/hive.toml - - - - /nix/store/")
    return Path(rule.split()[-1])


def test_hive_reads_its_settings_as_they_were_meant(packages: Path, tmp_path: Path) -> None:
    made = machine(packages, tmp_path, EVERYTHING.replace('"they/them"', quoted(ODD)))
    (tmp_path / "hive.toml").write_bytes(toml(made["rules"]).read_bytes())
    found = choices.read(tmp_path, ())
    assert (found.values["pronouns"], found.values["backend"], found.values["ports.count"]) == (ODD, "local", 900)
    assert found.new_agents == {"model": "opus", "limits": {"memory": "4G"}, "command": ["sh", "-c"]}
    assert dumps(dict(found.new_agents))


def test_without_a_word_nothing_is_there_and_with_one_the_units_are(packages: Path, tmp_path: Path) -> None:
    off = machine(packages, tmp_path, "{ services.hive.enable = false; }")
    assert (off["services"], off["rules"], off["refused"]) == ({}, [], [])
    on = machine(packages, tmp_path, "{ }")
    assert set(on["services"]) == set(on["timers"]) | {"hive"}
    assert "hive-backup" not in on["services"]
    assert on["services"]["hive"]["serviceConfig"]["KillMode"] == "process"
    assert on["services"]["hive"]["script"].endswith("/bin/hive up")


def test_every_option_arrives(packages: Path, tmp_path: Path) -> None:
    made = machine(packages, tmp_path, EVERYTHING)
    hive = made["services"]["hive"]
    expected = {"MemoryMax": "75%", "TasksMax": 2000, "CPUQuota": "200%", "KillMode": "mixed"}
    assert {key: hive["serviceConfig"][key] for key in expected} == expected
    assert hive["script"].endswith("/bin/hive up --stop")
    assert any(package.endswith("-jq") for package in hive["path"])
    assert made["groups"]["hive"]["members"] == ["alice"]
    assert made["timers"]["hive-backup"]["timerConfig"]["OnCalendar"] == "daily"
    assert made["refused"] == []


def test_a_machine_whose_agents_are_containers_has_what_these_need(packages: Path, tmp_path: Path) -> None:
    assert machine(packages, tmp_path, "{ }")["containers"] is False
    made = machine(packages, tmp_path, '{ services.hive.settings.backend = "nixos"; }')
    assert (made["containers"], made["refused"]) == (True, [])
    hive = made["services"]["hive"]
    assert {"nix", "nixos-container"} <= {package.partition("-")[2] for package in hive["path"]}
    assert hive["script"].startswith("export NIX_REMOTE=daemon\nexec /nix/store/")
    assert "-/etc/nixos-containers" in hive["serviceConfig"]["ReadWritePaths"]


def test_every_command_of_a_unit_is_one_of_hives(packages: Path, tmp_path: Path) -> None:
    verbs = {operation.verb for operation in everything().values()}
    services = machine(packages, tmp_path, EVERYTHING)["services"]
    assert "hive" in services
    for service in services.values():
        words = service["script"].rpartition("/bin/hive ")[2].split()
        assert words[0] in verbs


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("ports.count = 60000;", "leads to port 68099"),
        ("ports.page = 8000;", "cannot share a port"),
        ("ports.manager = 8200;", "cannot share a port"),
        ('settings.pronouns = "x";', "operatorPronouns and ports. Set those instead."),
        ('users = [ "nobody-here" ];', "no user of this machine"),
        ('backup.folder = "here";', "no absolute path"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(packages: Path, tmp_path: Path, settings: str, told: str) -> None:
    (message,) = machine(packages, tmp_path, f"{{ services.hive = {{ {settings} }}; }}")["refused"]
    assert told in message
    assert message.startswith("services.hive")
    assert message.endswith(".")


@pytest.mark.parametrize(
    "settings",
    [
        "ports.page = 65536;",
        'ports.page = "7000";',
        "operatorPronouns = null;",
        'users = "alice";',
        "limits.tasks = 0;",
    ],
)
def test_a_value_of_another_type_is_refused_by_its_option(packages: Path, tmp_path: Path, settings: str) -> None:
    with pytest.raises(NixRefusedIt, match=rf"services\.hive\.{settings.split(' ', maxsplit=1)[0]}.*is not of type"):
        machine(packages, tmp_path, f"{{ services.hive = {{ {settings} }}; }}")


def test_an_option_that_there_is_not_is_refused(packages: Path, tmp_path: Path) -> None:
    with pytest.raises(NixRefusedIt, match=r"option `services\.hive\.port' does not exist"):
        machine(packages, tmp_path, "{ services.hive.port = 7000; }")


def test_a_folder_for_backups_arrives_unchanged(packages: Path, tmp_path: Path) -> None:
    """The unit's script is run, with a hive that says what it was told."""
    folder = f"{tmp_path}/it's %h ${{HOME}} $(id)"
    made = machine(packages, tmp_path, f"{{ services.hive.backup.folder = {quoted(folder)}; }}")
    service = made["services"]["hive-backup"]
    program = service["script"].split("exec ")[1].split(" ")[0]
    stand_in = tmp_path / "hive"
    stand_in.write_text("#!/bin/sh\nprintf '%s|' \"$@\"\n")
    stand_in.chmod(0o755)
    script = written(tmp_path, "backup", {**service, "script": service["script"].replace(program, str(stand_in))})
    said = subprocess.run([script.with_name("backup-start")], capture_output=True, text=True, check=True).stdout
    assert said == f"backup|{folder}|--keep|14|"
    assert Path(folder).is_dir()


@requires("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_units_and_little_exposed(packages: Path, tmp_path: Path) -> None:
    services = machine(packages, tmp_path, EVERYTHING)["services"]
    if systemd() < 254:
        # What it does not know yet it calls wrong.
        services["hive"]["serviceConfig"].pop("DelegateSubgroup")
    units = [written(tmp_path, name, service) for name, service in services.items()]
    assert len(units) >= 2
    argv = ["systemd-analyze", "verify", "--man=no", *map(str, units)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("", "")
    for unit in units:
        done = _security(unit, 60)
        assert done.returncode == 0, done.stdout
    # The bound means something.
    bare = written(tmp_path, "bare", {**services["hive"], "serviceConfig": {}})
    assert _security(bare, 60).returncode == 1


def systemd() -> int:
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=True).stdout
    return int(told.split()[1])


def _security(unit: Path, threshold: int) -> subprocess.CompletedProcess[Any]:
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={threshold}", str(unit)]
    return subprocess.run(argv, capture_output=True, text=True, check=False)
