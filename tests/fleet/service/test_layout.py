"""Where a service finds things and keeps them, and what systemd is told of that."""

from __future__ import annotations

import configparser
import os
from pathlib import Path

import pytest

from hive_core.settings import Settings, from_environment
from hive_fleet.service import manager, units
from hive_fleet.service.layout import Layout, layout
from hive_fleet.service.units import MARK, NAMES

MACHINE = Layout(
    user=False, hive=("/usr/bin/python3", "/opt/hive/hive"), units=Path("/etc/systemd/system"), home=None, run=None,
    backups=Path("/var/backups/hive"), systemd=255,
)  # fmt: skip
USERS = MACHINE._replace(user=True, units=Path("/home/ada/.config/systemd/user"), backups=Path("/home/ada/backups"))


def read(layout: Layout, *, apart: bool = False, spare: bool = True) -> dict[str, dict[str, dict[str, list[str]]]]:
    """What each unit says: by section and name, as a list where it may be said several times."""
    found = {}
    for name, text in units.render(layout, apart=apart, spare=spare).items():
        assert text.startswith(f"{MARK}\n")
        sections: dict[str, dict[str, list[str]]] = {}
        for line in text.splitlines():
            if line.startswith("["):
                section = sections.setdefault(line.strip("[]"), {})
            elif line and not line.startswith("#"):
                key, _, value = line.partition("=")
                section.setdefault(key, []).append(value)
        found[name] = sections
    return found


def named(**environ: str) -> Settings:
    return from_environment({"HOME": "/home/ada", **environ})


def test_a_hive_in_its_usual_place_needs_no_word_about_it() -> None:
    made = layout(named(), {"HOME": "/home/ada"}, user=True, backups=None, systemd=255)
    assert (made.home, made.run) == (None, None)
    assert made.units == Path("/home/ada/.config/systemd/user")
    assert made.own_folders == []
    assert not any("HIVE_HOME" in text for text in units.render(made, apart=False, spare=True).values())


def test_one_elsewhere_is_told_where_and_may_write_there() -> None:
    environ = {"HOME": "/home/ada", "HIVE_HOME": "/srv/hive", "HIVE_RUN": "/srv/run"}
    made = layout(named(**environ), environ, user=False, backups=Path("/srv/kept"), systemd=255)
    assert (made.home, made.run, made.backups) == (Path("/srv/hive"), Path("/srv/run"), Path("/srv/kept"))
    found = read(made)
    service = found["hive.service"]["Service"]
    assert service["Environment"] == ['"HIVE_HOME=/srv/hive"', '"HIVE_RUN=/srv/run"']
    assert service["ReadWritePaths"] == ['"/srv/hive"', '"/srv/run"']
    assert "StateDirectory" not in service
    assert "RuntimeDirectory" not in service
    # Backups are written by what makes them, and by nothing else.
    assert found["hive-backup.service"]["Service"]["ReadWritePaths"] == [
        '"/srv/hive"', '"/srv/run"', '"/srv/kept"',
    ]  # fmt: skip


def test_a_users_settings_are_where_that_user_has_them() -> None:
    environ = {"HOME": "/home/ada", "XDG_CONFIG_HOME": "/home/ada/etc"}
    assert layout(named(), environ, user=True, backups=None, systemd=255).units == Path("/home/ada/etc/systemd/user")
    assert layout(named(), environ, user=False, backups=None, systemd=255).units == Path("/etc/systemd/system")


@pytest.mark.parametrize(
    ("run", "user", "runtime", "own"),
    [
        (None, False, "hive", []),
        (None, True, "hive", []),
        ("/run/hives/one", False, "hives/one", []),
        # A user's systemd makes folders below that user's own.
        ("/run/user/1000/hive", True, None, ["/run/user/1000/hive"]),
        ("/srv/run", False, None, ["/srv/run"]),
        ("/running", False, None, ["/running"]),
    ],
)
def test_the_run_folder_is_made_by_systemd_where_it_makes_such(
    run: str | None, user: bool, runtime: str | None, own: list[str]
) -> None:
    made = MACHINE._replace(user=user, run=None if run is None else Path(run))
    assert made.runtime == runtime
    assert made.own_folders == [Path(path) for path in own]
    service = read(made)["hive.service"]["Service"]
    assert service.get("RuntimeDirectory") == (None if runtime is None else [f'"{runtime}"'])
    # Agents that run hold the folder.
    assert service.get("RuntimeDirectoryPreserve") == (None if runtime is None else ["yes"])


@pytest.mark.parametrize(
    ("changed", "shared"),
    [
        ({}, False),
        ({"home": Path("/tmp/hive")}, True),
        ({"run": Path("/var/tmp/run")}, True),
        ({"backups": Path("/tmp/kept")}, True),
        ({"hive": ("/usr/bin/python3", "/tmp/checkout/hive")}, True),
        ({"home": Path("/tmpfs/hive")}, False),
    ],
)
def test_a_service_has_a_tmp_of_its_own_unless_it_needs_what_lies_there(changed: dict[str, Path], shared: bool) -> None:
    for unit in ("hive.service", "hive-vacuum.service"):
        service = read(MACHINE._replace(**changed))[unit]["Service"]
        assert ("PrivateTmp" not in service) == shared


def test_every_unit_has_a_name_that_is_known_and_can_be_read_as_one() -> None:
    for made in (MACHINE, USERS):
        for apart in (False, True):
            for name, text in units.render(made, apart=apart, spare=True).items():
                assert name in NAMES
                configparser.ConfigParser(strict=False, interpolation=None).read_string(text)


def test_what_a_timer_starts_is_not_started_with_the_machine() -> None:
    together, apart = (units.enabled(units.render(MACHINE, apart=apart, spare=True)) for apart in (False, True))
    assert together == ["hive.service", "hive-vacuum.timer", "hive-backup.timer"]
    assert apart[:3] == ["hive-watch.service", "hive-gate.service", "hive-page.service"]
    assert apart[3:] == together[1:]
    for name, sections in read(MACHINE, apart=True).items():
        assert ("Install" in sections) == (name in apart), name


def test_agents_are_ended_by_hive_and_never_by_systemd() -> None:
    service = read(MACHINE)["hive.service"]["Service"]
    assert (service["KillMode"], service["DelegateSubgroup"]) == (["process"], ["hive"])
    assert service["OOMPolicy"] == ["continue"]
    older = read(MACHINE._replace(systemd=units.SPARING_SINCE - 1))["hive.service"]["Service"]
    assert older["KillMode"] == ["mixed"]
    assert "DelegateSubgroup" not in older
    for spare in (True, False):
        (started,) = read(MACHINE, spare=spare)["hive.service"]["Service"]["ExecStart"]
        assert started.endswith('"--stop"') is not spare


def test_only_what_keeps_agents_is_given_a_group_and_a_watchdog() -> None:
    found = read(MACHINE, apart=True)
    for name, sections in found.items():
        keeps = name == "hive-watch.service"
        assert ("Delegate" in sections.get("Service", {})) == keeps
        assert ("WatchdogSec" in sections.get("Service", {})) == keeps


def test_a_users_service_asks_for_nothing_that_only_the_machines_can_have() -> None:
    theirs, machines = (read(made)["hive.service"] for made in (USERS, MACHINE))
    for name in ("ProtectSystem", "CapabilityBoundingSet", "StateDirectory", "ReadWritePaths", "PrivateTmp"):
        assert name not in theirs["Service"]
    assert theirs["Install"]["WantedBy"] == ["default.target"]
    assert machines["Install"]["WantedBy"] == ["multi-user.target"]
    assert "After" not in theirs["Unit"]
    assert machines["Unit"]["After"] == ["network.target"]


def program(folder: Path, script: str) -> None:
    folder.mkdir()
    (folder / "systemctl").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "systemctl").chmod(0o755)


@pytest.mark.parametrize(
    ("script", "version"),
    [
        ("echo 'systemd 252 (252.22-1)'; echo +PAM", 252),
        ("echo systemd", 999),
        ("echo 'systemd next'", 999),
        ("exit 1", 999),
    ],
)
def test_which_systemd_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, version: int) -> None:
    program(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert manager.version() == version


def test_where_none_is_installed_it_will_be_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert manager.version() == 999


def test_what_it_is_asked_goes_to_the_users_own_and_a_refusal_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", f'echo "$XDG_RUNTIME_DIR: $*" >> {tmp_path}/asked; [ "$4" != no.service ] || exit 5')
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/7")
    manager.ask(MACHINE, "daemon-reload")
    assert manager.stop_quietly(USERS, ["a.service", "b.timer"]) is None
    assert "systemctl" in str(manager.stop_quietly(USERS, ["no.service"]))
    assert (tmp_path / "asked").read_text().splitlines() == [
        "/run/user/7: daemon-reload",
        "/run/user/7: --user disable --now a.service b.timer",
        "/run/user/7: --user disable --now no.service",
    ]


def test_a_users_runs_where_its_socket_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert not manager.runs(USERS)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert not manager.runs(USERS)
    (tmp_path / "systemd").mkdir()
    (tmp_path / "systemd" / "private").touch()
    assert manager.runs(USERS)
