"""hive as a service: its units say what was meant, are written and removed, and are what systemd takes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from hive_core.settings import from_environment
from hive_fleet.service import escaping, units
from hive_fleet.service.layout import layout
from hive_fleet.service.manager import version
from tests.cmds.test_killed import killed_at, places_of
from tests.hives import TestHive
from tests.needs import requires

FORMS = [
    [],
    ["--user"],
    *([["--spare"], ["--apart"], ["--user", "--apart"]] if version() >= units.SPARING_SINCE else []),
]
# Whatever means something to systemd, in a folder that a person may well have.
STRANGE = "a %n $HOME ${X} \\n 'q' \"d\" ;b é"


def rendered(hive: TestHive, *flags: str) -> dict[str, str]:
    return {row["unit"]: row["content"] for row in hive.json("install-service", "--dry-run", *flags)}


def settings_of(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            found.setdefault(name, []).append(value)
    return found


@requires("systemd-analyze")
def test_systemd_finds_nothing_wrong_with_any_form_and_any_path(tmp_path: Path) -> None:
    for number, flags in enumerate(FORMS):
        hive = TestHive(tmp_path / f"{STRANGE} {number}")
        folder = tmp_path / f"units-{number}"
        folder.mkdir()
        for name, text in rendered(hive, *flags, "--backups", f"{hive.root}/kept").items():
            (folder / name).write_text(text)
        # It ends with 0 whatever it finds: what it says is what counts.
        verify = ["systemd-analyze", *(["--user"] if "--user" in flags else []), "verify", *map(str, folder.iterdir())]
        environment = {**hive.environment, "XDG_RUNTIME_DIR": str(tmp_path)}
        done = subprocess.run(verify, capture_output=True, text=True, check=True, env=environment)
        assert [line for line in (done.stdout + done.stderr).splitlines() if "hive" in line] == [], flags


SYSTEMCTL = """#!/bin/sh
case "$*" in
  --version) echo "systemd 257 (257)" ;;
  *daemon-reload) rm -rf {read}; cp -r {units} {read} ;;
esac
"""


def test_an_installation_that_is_killed_is_finished_by_the_same_command_and_so_is_a_removal(hive: TestHive) -> None:
    # Below what is watched for changes.
    units, read = hive.home / "config/systemd/user", hive.root / "read"
    units.mkdir(parents=True)
    (hive.root / "bin").mkdir()
    (hive.root / "runtime/systemd/private").mkdir(parents=True)
    (hive.root / "bin/systemctl").write_text(SYSTEMCTL.format(units=units, read=read))
    (hive.root / "bin/systemctl").chmod(0o755)
    hive.extra |= {"XDG_CONFIG_HOME": str(hive.home / "config"), "XDG_RUNTIME_DIR": str(hive.root / "runtime")}
    hive.extra |= {"PATH": f"{hive.root}/bin:{os.environ['PATH']}"}
    install, remove = (("install-service", "--user", *more) for more in ((), ("--remove",)))
    texts = rendered(hive, "--user")

    def there(folder: Path) -> dict[str, str]:
        return {path.name: path.read_text() for path in folder.iterdir()}

    for command, other, end in ((install, remove, texts), (remove, install, {})):
        hive.run(*other)
        for line in places_of(hive, ("hive_cmds/service.py", "hive_agent/atomic.py"), *command):
            hive.run(*other)
            killed_at(hive, line, ("hive_cmds/service.py", "hive_agent/atomic.py"), *command)
            # What systemd would take is whole, or not there.
            assert all(texts[name] == text for name, text in there(units).items() if not name.startswith("."))
            hive.run(*command)
            assert there(units) == there(read) == end, f"{command} killed at line {line}"


@requires("systemd-analyze")
@pytest.mark.parametrize(("unit", "exposure"), [("hive.service", 45), ("hive-backup.service", 45)])
def test_the_service_is_shut_off_from_what_it_does_not_need(
    hive: TestHive, tmp_path: Path, unit: str, exposure: int
) -> None:
    (tmp_path / unit).write_text(rendered(hive)[unit])
    argv = ["systemd-analyze", "security", "--offline=true", f"--threshold={exposure}", str(tmp_path / unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-400:]


def test_a_value_is_read_as_it_was_meant() -> None:
    assert escaping.command("/bin/x", 'a b"c', "100%", "$HOME", "back\\slash", "li\nne") == (
        '"/bin/x" "a b\\"c" "100%%" "$$HOME" "back\\\\slash" "li\\x0ane"'
    )
    # No variable is expanded in the program's own path, so that one cannot be escaped.
    assert escaping.command("/opt/$5/x") == '"/usr/bin/env" "/opt/$$5/x"'
    assert escaping.assignment("HIVE_HOME", "/a $b %c") == '"HIVE_HOME=/a $b %%c"'


def test_a_service_keeps_this_hive_and_no_other(hive: TestHive) -> None:
    kept = settings_of(rendered(hive)["hive.service"])
    assert kept["Environment"] == [f'"HIVE_HOME={hive.home}"', f'"HIVE_RUN={hive.root}/run"']
    assert kept["ExecStart"][0].endswith('hive" "up" "--stop"')
    nobodys = {"HOME": "/nonexistent"}
    place = layout(from_environment(nobodys), nobodys, user=False, backups=None, systemd=257)
    spared = settings_of(units.render(place, apart=False, spare=True)["hive.service"])
    assert spared["ExecStart"][0].endswith('hive" "up"')
    assert (spared["KillMode"], spared["DelegateSubgroup"]) == (["process"], ["hive"])
    apart = units.render(place, apart=True, spare=False)
    assert {name for name in apart if name.endswith(".service")} == {
        f"hive-{part}.service" for part in ("watch", "gate", "page", "vacuum", "backup")
    }
    # Where everything is where it always is, systemd makes the folders, and keeps those that agents hold.
    usual = settings_of(units.render(place, apart=False, spare=False)["hive.service"])
    assert (usual["RuntimeDirectory"], usual["RuntimeDirectoryPreserve"]) == (['"hive"'], ["yes"])
    assert "Environment" not in usual


def test_units_are_written_once_exchanged_and_removed(hive: TestHive) -> None:
    folder = hive.root / "configuration" / "systemd" / "user"
    hive.extra["XDG_CONFIG_HOME"] = str(hive.root / "configuration")
    done = hive.run("install-service", "--user", "--backups", str(hive.root / "kept"))
    assert f"{folder}/hive.service: written" in done.stdout
    assert "systemctl --user enable --now hive.service hive-vacuum.timer hive-backup.timer" in done.stderr
    assert (hive.root / "kept").stat().st_mode & 0o777 == 0o700
    rows = hive.json("install-service", "--user", "--backups", str(hive.root / "kept"))
    assert {row["state"] for row in rows} == {"unchanged"}
    # What another form had and this one has not is removed.
    (folder / "hive-watch.service").write_text(f"{units.MARK}\n[Unit]\n")
    again = hive.json("install-service", "--user", "--backups", str(hive.root / "kept"))
    assert [row["unit"] for row in again if row["state"] == "removed"] == ["hive-watch.service"]
    (folder / "mine.service").write_text("[Unit]\n")
    hive.run("install-service", "--user", "--remove")
    assert [path.name for path in folder.iterdir()] == ["mine.service"]
    assert hive.run("install-service", "--user", "--remove").stderr == "There was no service of hive's.\n"


def test_a_unit_that_somebody_else_wrote_is_left_alone(hive: TestHive) -> None:
    hive.extra["XDG_CONFIG_HOME"] = str(hive.root / "configuration")
    unit = hive.root / "configuration" / "systemd" / "user" / "hive.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    assert "was not written by hive" in hive.run("install-service", "--user", code=1).stderr
    hive.run("install-service", "--user", "--remove")
    assert unit.exists()
    assert [path.name for path in unit.parent.iterdir()] == ["hive.service"]


def test_every_unit_says_who_made_it(hive: TestHive) -> None:
    for flags in FORMS:
        texts = rendered(hive, *flags)
        assert all(text.startswith(units.MARK) for text in texts.values())
        assert set(texts) <= set(units.NAMES)
    assert json.loads(hive.run("install-service", "--user", "--remove", "--dry-run", "--json").stdout) == []


def test_an_older_systemd_leaves_no_agent_behind_that_it_could_not_start_hive_beside(hive: TestHive) -> None:
    nobodys = {"HOME": "/nonexistent"}
    place = layout(from_environment(nobodys), nobodys, user=False, backups=None, systemd=252)
    kept = settings_of(units.render(place, apart=False, spare=False)["hive.service"])
    assert kept["KillMode"] == ["mixed"]
    assert "DelegateSubgroup" not in kept
    if version() < units.SPARING_SINCE:
        assert "need 254 or newer" in hive.run("install-service", "--dry-run", "--spare", code=1).stderr
