"""What nixos-container does to whoever relies on it, and what a container is shown, held to and told."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from pathlib import Path

import pytest

from hive_core.containers.config import Limits
from hive_core.containers.nixos import files, places, units
from hive_core.errors import HiveError, NotFound, Refused
from hive_core.git.revision import head_revision
from hive_core.process import boot_id
from tests.core.containers.nixos.test_builds import play
from tests.core.containers.test_contract import Backend
from tests.git import commit
from tests.hives import eventually
from tests.needs import needs_nix, needs_root

pytestmark = needs_nix


def conf(backend: Backend, name: str = "a") -> dict[str, str]:
    lines = places.of(name).conf.read_text().splitlines()
    return dict(line.split("=", 1) for line in lines)


def switch(backend: Backend, name: str = "a") -> None:
    backend.host.switch(name, backend.build(name, "sleep", "1000"), backend.view(name), run=True)


# --- litter, races, odd codes


def test_a_container_that_was_made_half_way_is_removed_again(backend: Backend, root: Path) -> None:
    revision = backend.build("a", "sleep", "1000")
    (root / "fail-create").touch()
    with pytest.raises(HiveError, match="failed to build initial container"):
        backend.host.switch("a", revision, backend.view("a"), run=True)
    assert (backend.host.containers(), list((root / "etc/nixos-containers").iterdir())) == ({}, [])
    (root / "fail-create").unlink()
    backend.host.switch("a", revision, backend.view("a"), run=True)
    assert backend.now("a").running


def test_a_start_waits_for_the_last_run_to_be_cleared_away(backend: Backend, root: Path) -> None:
    backend.run("a")
    backend.host.stop("a", grace=0)
    (root / "busy").write_text("3")
    backend.host.start("a", backend.view("a"))
    assert backend.now("a").running


def test_a_container_that_systemd_cannot_start_is_told_of(backend: Backend, root: Path) -> None:
    backend.run("a")
    backend.host.stop("a", grace=0)
    (root / "busy").write_text("1000")
    with pytest.raises(HiveError, match="could not be started"):
        backend.host.start("a", backend.view("a"))
    assert not backend.now("a").running


def test_what_a_kill_has_left_in_the_way_is_waited_for_also_where_the_journal_tells_of_it_late(
    backend: Backend, root: Path
) -> None:
    backend.run("a")
    backend.host.stop("a", grace=0)
    (root / "busy").write_text("1")
    (root / "late").touch()
    backend.host.start("a", backend.view("a"))
    assert backend.now("a").running
    assert not (root / "late").exists()


def test_a_container_that_was_removed_past_hive_is_gone(backend: Backend) -> None:
    revision = backend.run("a")
    subprocess.run(["nixos-container", "destroy", "h-a"], check=True)
    assert (backend.host.container("a"), backend.host.containers()) == (None, {})
    with pytest.raises(NotFound):
        backend.host.start("a", backend.view("a"))
    backend.host.switch("a", revision, backend.view("a"), run=True)
    assert backend.now("a").running


def test_a_start_past_hive_is_another_instance(backend: Backend) -> None:
    revision = backend.run("a")
    before = backend.now("a")
    subprocess.run(["systemctl", "stop", "container@h-a.service"], check=True)
    subprocess.run(["systemctl", "start", "container@h-a.service"], check=True)
    after = backend.now("a")
    assert (after.running, after.revision) == (True, revision)
    assert after.instance != before.instance
    backend.host.stop("a", grace=0)
    ended = backend.now("a").ended
    assert ended is not None
    assert ended.cause == "SIGKILL"


def test_systemd_is_asked_of_what_hive_has_not_started_alone(backend: Backend) -> None:
    revision = backend.run("a")
    systemctl = backend.home / "machine/bin/systemctl"
    real = systemctl.read_text()
    play(backend, "systemctl", "exit 1")
    assert (backend.now("a").running, backend.now("a").revision) == (True, revision)
    assert list(backend.host.containers()) == ["a"]
    (exit_of_a,) = backend.host.exits(["a"]).values()
    os.kill(files.last_run(backend.home / "containers/a").pid, signal.SIGKILL)
    assert select.select([exit_of_a], [], [], 60)[0]
    os.close(exit_of_a)
    with pytest.raises(HiveError, match="systemctl show"):
        backend.host.container("a")
    systemctl.write_text(real)
    assert eventually(lambda: backend.now("a").ended is not None)


def test_systemd_reads_a_units_files_anew_when_they_are_others_also_after_a_kill(backend: Backend, root: Path) -> None:
    revision = backend.run("a")
    read = root / "run/read/container@h-a.service"
    before = read.stat()
    backend.host.switch("a", revision, backend.view("a"), run=True)
    assert read.stat() == before
    backend.host.stop("a", grace=0)
    for left in (backend.home / "containers/a/unit-as-read", places.of("a").drop_in):
        # What a hive that was killed here leaves.
        left.unlink()
        read.write_text("")
        backend.host.start("a", backend.view("a"))
        assert read.read_text() == places.of("a").drop_in.read_text() != ""
        backend.host.stop("a", grace=0)
    assert backend.now("a").ended is not None


def test_what_was_started_past_hive_just_before_it_is_started_anew(backend: Backend) -> None:
    """As by a hive that was killed when it had asked for that."""
    backend.run("a")
    backend.host.stop("a", grace=0)
    before = units.look([places.of("a")])["a"]
    subprocess.run(["systemctl", "start", "container@h-a.service"], check=True)
    theirs = units.look([places.of("a")])["a"]
    assert units.start(places.of("a"), before).invocation not in (before.invocation, theirs.invocation)


def test_no_link_is_left_in_the_folder_that_hive_was_called_in(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    backend.run("a")
    assert list(tmp_path.iterdir()) == []


def test_a_container_of_another_hives_is_left_alone(backend: Backend) -> None:
    subprocess.run(["nixos-container", "create", "h-a", "--system-path", "/nix/store"], cwd=backend.home, check=True)
    revision = backend.build("a", "sleep", "1000")
    with pytest.raises(Refused, match=r"h-a already, which is not of this hive"):
        backend.host.switch("a", revision, backend.view("a"), run=True)
    backend.host.destroy("a")
    assert places.of("a").conf.exists()


# --- what it is, and sees


@pytest.mark.parametrize("name", ["abcdefghij", "a-name-that-is-long"])
def test_a_name_that_no_container_can_have_is_refused_with_the_number(backend: Backend, name: str) -> None:
    with pytest.raises(Refused, match=rf"{name} has {len(name)} characters; .* at most 9\."):
        backend.host.build(name, backend.home, "0" * 40, backend.lock)
    assert places.of("abcdefghi").container == "h-abcdefghi"
    # One that was made on another backend can be seen, and goes.
    assert (backend.host.container(name), backend.host.exits([name])) == (None, {})
    backend.host.destroy(name)


def test_its_conf_shows_what_the_view_shows_and_keeps_the_rest(backend: Backend) -> None:
    switch(backend)
    found = conf(backend)
    assert (found["PRIVATE_NETWORK"], found["HOST_ADDRESS"], found["AUTO_START"]) == ("0", "10.233.1.1", "0")
    flags = found["EXTRA_NSPAWN_FLAGS"].split()
    assert f"--bind={backend.home}/agents/a/state:/state" in flags
    assert len([flag for flag in flags if flag.startswith("--bind")]) == 1


@needs_root
def test_each_has_users_of_its_own(backend: Backend) -> None:
    users = backend.host.users()
    assert users is not None
    backend.run("a", "sh", "-c", "id -u >/state/who; exit 0")
    backend.after_its_end("a")
    # Whichever it is in its container.
    assert (backend.home / "agents/a/state/who").stat().st_uid == users[0]
    assert int(conf(backend)["PRIVATE_USERS"]) == users[0] - files.AGENT
    # No container's users are another's.
    assert users.step == 65536 > files.AGENT
    with pytest.raises(Refused, match="made on another backend"):
        backend.host.start("a", backend.view("a")._replace(uid=700_000))


def test_a_folder_with_a_blank_cannot_be_shown(backend: Backend) -> None:
    revision = backend.build("a", "sleep", "1000")
    odd = backend.home / "odd name"
    odd.mkdir()
    view = backend.view("a")._replace(read_only={"/odd": odd})
    with pytest.raises(Refused, match="has a blank"):
        backend.host.switch("a", revision, view, run=True)
    assert not backend.now("a").running


def test_the_key_of_its_page_is_on_its_standard_input_and_nobody_elses_to_read(backend: Backend) -> None:
    tells = "import os, sys; open('/state/key', 'w').write(os.read(0, 100).decode() + os.environ['HIVE_PAGE_TOKEN_FD'])"
    commit(backend.home / "base", {"hive_agent/__main__.py": f"{tells}\nimport time; time.sleep(1000)"})
    lock = backend.lock._replace(hive=head_revision(backend.home / "base") or "")
    revision = backend.commit("a", 'runner = "claude"\n')
    backend.host.build("a", backend.home / "applied/a", revision, lock)
    backend.host.switch("a", revision, backend.view("a", lock.hive), run=True)
    written = backend.home / "agents/a/state/key"
    key = eventually(lambda: written.read_text() if written.exists() else "")
    assert key == f"{backend.host.page_key('a')}0"
    assert (backend.home / "containers/a/page-key").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        (Limits(), {"MemoryMax": "75%", "TasksMax": "4096"}),
        (Limits(2**29, 100, 1.5), {"MemoryMax": "536870912", "TasksMax": "100", "CPUQuota": "150%"}),
        (Limits(float("inf"), float("inf"), float("inf")), {"MemoryMax": "infinity", "TasksMax": "infinity"}),
    ],
)
def test_its_limits_are_systemds(limits: Limits, expected: dict[str, str]) -> None:
    assert files.properties(limits) == expected


def test_its_unit_is_held_to_its_limits_and_left_to_hive_to_restart(backend: Backend) -> None:
    toml = 'command = ["sleep", "1000"]\n[limits]\nmemory = "512M"\n'
    revision = backend.commit("a", toml)
    backend.host.build("a", backend.home / "applied/a", revision, backend.lock)
    backend.host.switch("a", revision, backend.view("a"), run=True)
    lines = places.of("a").drop_in.read_text().splitlines()
    assert {"MemoryMax=536870912", "Restart=no"} <= set(lines)


def test_a_container_whose_socket_was_taken_from_the_machine_is_known(backend: Backend) -> None:
    folder = backend.home / "run/sockets/a"
    folder.mkdir(parents=True)
    view = backend.view("a")._replace(read_only={"/run/hive": folder})
    backend.host.switch("a", backend.build("a", "sleep", "1000"), view, run=True)
    assert not backend.host.severed("a")
    folder.rmdir()
    assert backend.host.severed("a")


# In a namespace of mounts of its own it sees, at the place of its socket, a folder that has been removed.
PRETEND = (
    "unshare -Urm sh -c 'mount -t tmpfs none /run; mkdir /run/gone /run/hive; mount --bind /run/gone /run/hive; "
    "rmdir /run/gone; grep -q //deleted /proc/self/mountinfo && echo removed; exec sleep 100'"
)


def test_an_agent_has_no_say_in_whether_its_socket_is_still_there(backend: Backend) -> None:
    (folder := backend.home / "run/other").mkdir(parents=True)
    view = backend.view("a")._replace(read_only={"/run/other": folder})
    backend.host.switch("a", backend.build("a", "sh", "-c", PRETEND), view, run=True)
    assert eventually(lambda: "removed" in str(backend.written("a")))
    assert not backend.host.severed("a")


def test_the_way_back_evaluates_nothing(backend: Backend) -> None:
    first = backend.run("a")
    backend.run("a", "sleep", "2000")
    play(backend, "nix", "exit 1")
    backend.host.switch("a", first, backend.view("a"), run=True)
    assert backend.now("a").revision == first


def test_an_end_that_nobody_wrote_down_is_the_machines(backend: Backend) -> None:
    backend.run("a")
    folder = backend.home / "containers/a"
    run = files.last_run(folder)
    assert run is not None
    backend.host.stop("a", grace=0)
    (folder / files.ENDED).unlink()
    files.record_run(folder, run._replace(boot="another"))
    ended = backend.now("a").ended
    assert ended is not None
    assert (ended.cause, ended.at) == ("the machine went down", run.started_at)


def test_an_end_is_read_as_it_was_written_down_also_by_an_older_hive(tmp_path: Path) -> None:
    run = files.LastStart("abc", "r", "h", 1.0, boot_id())
    (tmp_path / "end").mkdir()
    for words, cause in {
        "abc exit-code exited 137 1": "out of memory",
        "abc signal killed SEGV 0": "SIGSEGV",
        "abc exit-code exited 3 0": "exit code 3",
        "abc exit-code exited 3": "exit code 3",
    }.items():
        (tmp_path / files.ENDED).write_text(f"{words}\n")
        assert files.ended(tmp_path, run).cause == cause


def test_the_journal_of_one_unit_alone_can_be_read(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "echo hello; exit 0")
    backend.after_its_end("a")
    assert len(backend.host.journal("a", 10, ["hive-agent.service"])) == 1
    assert backend.host.journal("a", 10, ["hive-manager.service"]) == []


def test_a_human_enters_by_systemd_run_as_the_agent(backend: Backend) -> None:
    from hive_core.containers.nixos import terminal

    view = backend.view("a")._replace(environment={"HIVE_LABEL": "a"})
    words = terminal.argv(places.of("a"), view, ["claude", "/login"])
    assert words[:2] == ["systemd-run", "--pty"]
    assert {"--machine", "h-a", "--uid=agent", "--setenv=HIVE_LABEL=a"} <= set(words)
    assert words[-3:] == ["--", "claude", "/login"]
    backend.host.switch("a", backend.build("a", "sleep", "1000"), view, run=False)
    with pytest.raises(Refused, match="not running"):
        backend.host.enter("a", view, ["true"])


@pytest.mark.parametrize(
    ("groups", "name"),
    [
        ("0::/machine.slice/container@h-a.service/payload/system.slice/x.service\n", "a"),
        ("4:memory:/x\n0::/system.slice/container@h-b-2.service\n", "b-2"),
        ("0::/system.slice/container@other.service\n", None),
        ("0::/system.slice/container@h-a.service.d/x\n", None),
        ("0::/user.slice\n", None),
    ],
)
def test_a_process_is_known_by_the_control_group_of_its_container(groups: str, name: str | None) -> None:
    assert places.in_group(groups) == name
