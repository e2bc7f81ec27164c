"""Where the agents' CLIs are found on this machine, and where a container sees them."""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

import pytest

from hive_core.containers.local import programs
from hive_core.errors import Refused
from hive_core.settings import Settings, from_environment
from tests.hives import TestHive

TRIPLE = f"{os.uname().machine}-unknown-linux-musl"


@pytest.fixture
def npm(tmp_path: Path) -> Path:
    """What npm makes of a CLI whose native program lies in a package beside the launcher's."""
    packages = tmp_path / "node_modules" / "@openai"
    for file in (
        packages / "codex/bin/codex.js",
        packages / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex",
        packages / "codex-linux-other/vendor/another-machine/bin/codex",
    ):
        file.parent.mkdir(parents=True)
        file.write_text("#!/bin/sh\n")
        file.chmod(0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/codex").symlink_to(packages / "codex/bin/codex.js")
    return packages


def settings(tmp_path: Path, program: Path) -> Settings:
    return from_environment(
        {"HIVE_HOME": f"{tmp_path}/home", "HIVE_RUN": f"{tmp_path}/run", "HIVE_CODEX": str(program)}
    )


def test_the_native_program_is_shown_with_its_own_package(tmp_path: Path, npm: Path) -> None:
    box = programs.inside(settings(tmp_path, tmp_path / "bin/codex"))
    assert box.environment["HIVE_CODEX"] == f"/hive/codex/vendor/{TRIPLE}/bin/codex"
    assert box.read_only["/hive/codex"] == npm / "codex-linux-x64"


def test_a_launcher_that_installs_the_native_program_within_itself_is_seen_through_too(
    tmp_path: Path, npm: Path
) -> None:
    (npm / "codex-linux-x64").rename(npm / "codex/node_modules-later")
    inner = npm / "codex/node_modules/@openai"
    inner.mkdir(parents=True)
    (npm / "codex/node_modules-later").rename(inner / "codex-linux-x64")
    found = programs.find(settings(tmp_path, tmp_path / "bin/codex"), "codex")
    assert found == inner / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex"


def test_a_launcher_without_the_native_program_is_taken_as_it_is(tmp_path: Path, npm: Path) -> None:
    (npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex").unlink()
    found = programs.find(settings(tmp_path, tmp_path / "bin/codex"), "codex")
    assert found == npm / "codex/bin/codex.js"


def test_a_plain_program_is_shown_alone_and_one_of_the_system_as_it_is(tmp_path: Path) -> None:
    box = programs.inside(settings(tmp_path, a_program(tmp_path / "own/codex")))
    assert box.environment["HIVE_CODEX"] == "/hive/codex/codex"
    assert box.read_only["/hive/codex/codex"] == tmp_path / "own/codex"
    assert tmp_path / "own" not in box.read_only.values()
    box = programs.inside(settings(tmp_path, Path("/usr/bin/env")))
    assert box.environment["HIVE_CODEX"] == str(Path("/usr/bin/env").resolve())
    assert not any(target.startswith("/hive/codex") for target in box.read_only)


def a_program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("folder", ["home/agents/coder/state", "run", "person/.ssh"])
def test_a_program_that_lies_where_nothing_may_be_shown_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str
) -> None:
    monkeypatch.setenv("HOME", f"{tmp_path}/person")
    (tmp_path / "link").symlink_to(a_program(tmp_path / folder / "codex"))
    for named in (tmp_path / folder / "codex", tmp_path / "link"):
        with pytest.raises(Refused, match=r"No agent can be shown .* for codex: it lies in"):
            programs.inside(settings(tmp_path, named))


def test_a_package_that_holds_hives_state_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "node_modules/@openai/codex"
    found = from_environment(
        {
            "HIVE_HOME": f"{package}/home",
            "HIVE_RUN": f"{tmp_path}/run",
            "HIVE_CODEX": str(a_program(package / "bin/codex")),
        }
    )
    with pytest.raises(Refused, match="it holds hive's own state"):
        programs.inside(found)


@pytest.mark.parametrize("named", ["folder", "text"])
def test_what_is_named_and_is_no_program_is_refused(tmp_path: Path, named: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("x")
    with pytest.raises(Refused, match=f"HIVE_CODEX names {tmp_path / named}, which is no program"):
        programs.inside(settings(tmp_path, tmp_path / named))


@pytest.mark.parametrize("prefix", ["person", "person/.local"])
def test_a_python_is_shown_without_the_folder_it_was_installed_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    program = a_program(tmp_path / prefix / "bin" / version)
    (tmp_path / prefix / "lib").mkdir()
    monkeypatch.setattr(sys, "base_prefix", str(tmp_path / prefix))
    monkeypatch.setattr(sys, "platlibdir", "lib")
    box = programs.inside(settings(tmp_path, Path("/usr/bin/env")))
    assert box.harness[0] == f"/hive/python/bin/{version}"
    # A Python that was built with a library of its own finds it only there.
    own = Path(sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME") or "")
    if sysconfig.get_config_var("Py_ENABLE_SHARED"):
        assert box.read_only.pop(str(own)) == own.resolve()
    assert box.read_only == {
        box.harness[0]: program,
        "/hive/python/lib": tmp_path / prefix / "lib",
    }


def test_doctor_says_whether_anybody_watches(hive: TestHive) -> None:
    def found() -> dict[str, object]:
        return {row["check"]: row.get("ok") for row in hive.json("doctor") if row["check"] in ("watch", "gate")}

    assert found() == {"watch": None, "gate": None}
    watch = hive.start("watch")
    assert watch.stderr is not None
    watch.stderr.readline()
    assert found() == {"watch": True, "gate": None}
    rows = {row["check"]: row["detail"] for row in hive.json("doctor")}
    assert f"process {watch.pid} " in rows["watch"]


def test_doctor_says_which_clis_it_found(hive: TestHive, tmp_path: Path, npm: Path) -> None:
    hive.extra |= {"HIVE_CODEX": str(tmp_path / "bin/codex"), "HIVE_CLAUDE": str(tmp_path / "absent")}
    rows = {row["check"]: row for row in hive.json("doctor")}
    assert (rows["codex"]["ok"], rows["claude"].get("ok")) == (True, None)
    found = {check: row["detail"] for check, row in rows.items()}
    assert found["codex"] == str(npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex")
    assert found["claude"].startswith("not found: agents with the runner claude wait for it")


def test_doctor_says_what_no_agent_can_be_shown(hive: TestHive, tmp_path: Path) -> None:
    hive.extra |= {"HIVE_CODEX": str(a_program(hive.home / "codex"))}
    (row,) = (row for row in hive.json("doctor") if row["check"] == "codex")
    assert row["ok"] is False
    assert "it lies in hive's own state" in row["detail"]


def test_a_cli_that_was_found_is_used_again_whatever_path_a_timer_has(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    native = npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex"
    own = settings(tmp_path, Path())._replace(environment=())
    for path in (f"{tmp_path}/bin:/usr/bin:/bin", "/usr/bin:/bin") * 2:
        monkeypatch.setenv("PATH", path)
        programs.inside(own)
        assert programs.find(own, "codex") == native
    assert "codex" in [path.name for path in (tmp_path / "home/clis").iterdir()]
    (tmp_path / "bin/codex").unlink()
    assert programs.find(own, "codex") != native


def test_what_the_environment_names_is_for_its_process_alone(
    tmp_path: Path, npm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    native = npm / f"codex-linux-x64/vendor/{TRIPLE}/bin/codex"
    programs.inside(settings(tmp_path, tmp_path / "bin/codex"))
    own = settings(tmp_path, Path())._replace(environment=())
    assert programs.find(own, "codex") != native
    (tmp_path / "home").mkdir(exist_ok=True)
    (tmp_path / "home/hive.toml").write_text(f'[clis]\ncodex = "{tmp_path}/bin/codex"\n')
    assert programs.find(own, "codex") == native
    (tmp_path / "home/hive.toml").write_text(f'\n[clis]\ncodex = "{tmp_path}"\n')
    with pytest.raises(Refused, match=r"clis.codex \(hive.toml, line 3\) names .*, which is no program"):
        programs.find(own, "codex")
