"""The backend as its callers use it: build, switch, start, stop, destroy, and what anybody may read meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from hive_core.errors import BuildFailed, HiveError, Refused
from tests.core.containers.local.machine import Machine


def test_a_container_survives_the_process_that_started_it(anywhere: Machine) -> None:
    revision = anywhere.run("a", "sh", "-c", "echo ready; exec sleep 100")
    container = anywhere.container("a")
    assert container.running
    assert container.revision == revision
    assert container.instance is not None
    supervisor = anywhere.supervisor("a")
    assert os.getsid(supervisor) != os.getsid(0)
    assert Path(f"/proc/{supervisor}/cwd").readlink() == Path("/")
    assert {Path(f"/proc/{supervisor}/fd/{number}").readlink() for number in (0, 1, 2, 3)} == {Path("/dev/null")}


def test_a_switch_restarts_and_a_start_of_a_running_one_does_nothing(plain: Machine) -> None:
    revision = plain.run("a", "sleep", "100")
    first = plain.container("a").instance
    plain.ask("start", name="a", view=plain.view("a"))
    assert plain.container("a").instance == first
    plain.ask("switch", name="a", revision=revision, view=plain.view("a"), run=True)
    assert plain.container("a").instance not in (None, first)


def test_a_switch_without_run_leaves_it_stopped(plain: Machine) -> None:
    revision = plain.build("a", {"agent.toml": "command = ['sleep', '100']"})
    assert plain.host.containers() == {}
    plain.ask("switch", name="a", revision=revision, view=plain.view("a"), run=False)
    container = plain.container("a")
    assert (container.running, container.revision, container.ended) == (False, revision, None)


def test_a_failing_switch_can_be_switched_back(plain: Machine) -> None:
    good = plain.run("a", "sleep", "100")
    with pytest.raises(BuildFailed):
        plain.run("a", "/state/nothing")
    plain.ask("switch", name="a", revision=good, view=plain.view("a"), run=True)
    assert plain.container("a").revision == good
    assert plain.container("a").running


def test_only_the_current_build_and_the_one_before_are_kept(plain: Machine) -> None:
    revisions = [plain.run("a", "sleep", str(seconds)) for seconds in (100, 101, 102)]
    folder = plain.home / "containers/a/generations"
    assert sorted(path.name for path in folder.iterdir()) == sorted(revisions[1:])
    plain.ask("switch", name="a", revision=revisions[2], view=plain.view("a"), run=False)
    assert sorted(path.name for path in folder.iterdir()) == sorted(revisions[1:])


def test_the_exported_configuration_is_whole_and_read_only(plain: Machine) -> None:
    files = {"agent.toml": "command = ['/config/bin/go.sh']", "bin/go.sh": "#!/bin/sh\nexit 5\n", "data/x": b"\0\xff"}
    revision = plain.build("a", files)
    generation = plain.home / "containers/a/generations" / revision
    assert (generation / "data/x").read_bytes() == b"\0\xff"
    modes = {
        path.relative_to(generation).as_posix(): oct(path.stat().st_mode & 0o777) for path in generation.rglob("*")
    }
    assert modes["bin/go.sh"] == modes["bin"] == modes["data"] == "0o555"
    assert modes["data/x"] == "0o444"
    plain.ask("switch", name="a", revision=revision, view=plain.view("a"), run=True)
    ended = plain.end("a").ended
    assert ended is not None
    assert ended.code == 5


def test_an_export_that_was_killed_is_made_again(plain: Machine) -> None:
    revision = plain.commit("a", {"agent.toml": "command = ['true']"})
    partial = plain.home / "containers/a/generations" / f".{revision}"
    partial.mkdir(parents=True)
    (partial / "half").write_text("x")
    plain.build("a", {"agent.toml": "command = ['true']"})
    plain.ask("build", name="a", repository=str(plain.home / "applied/a"), revision=revision)
    generation = plain.home / "containers/a/generations" / revision
    assert [path.name for path in generation.iterdir()] == ["agent.toml"]


@pytest.mark.parametrize(
    ("files", "sentence"),
    [
        ({"other": "x"}, "agent.toml is missing"),
        ({"agent.toml": "command = ['no-such-program']"}, "the program no-such-program of command is not installed"),
        ({"agent.toml": "command = ['/config/run']", "run": "x"}, "/config/run, which is no executable file"),
        ({"agent.toml": "command = ['a']\n[limits]\nmemory = 'lots'"}, 'agent.toml, line 3: limits.memory is "lots"'),
        ({"agent.toml": b"command = ['a']\n# \xff"}, "agent.toml, line 2: this is not UTF-8"),
        ({"agent.toml": "runner = 'exec'"}, "command is missing"),
    ],
)
def test_a_configuration_that_cannot_work_is_not_built(
    plain: Machine, files: dict[str, str | bytes], sentence: str
) -> None:
    with pytest.raises(BuildFailed) as refused:
        plain.build("a", files)
    assert sentence in str(refused.value)
    assert plain.host.containers() == {}


def test_what_is_destroyed_is_gone_and_destroying_it_again_is_fine(anywhere: Machine) -> None:
    anywhere.run("a", "sleep", "100")
    anywhere.ask("destroy", name="a")
    anywhere.ask("destroy", name="a")
    assert anywhere.host.containers() == {}
    assert list((anywhere.home / "containers").iterdir()) == []


def test_a_name_is_checked_before_it_becomes_a_path(plain: Machine) -> None:
    for name in ("../x", "a/b", "", "."):
        with pytest.raises(HiveError):
            plain.host.stop(name, grace=0)


def test_looking_at_containers_imports_nothing_heavy(plain: Machine) -> None:
    plain.run("a", "sleep", "100")
    heavy = {"subprocess", "pygit2", "plumbum", "tempfile", "tomllib", "inotify_simple", "typer"}
    assert not heavy & plain.modules()


def test_a_look_at_any_time_sees_a_whole_container(plain: Machine) -> None:
    revision = plain.run("a", "sleep", "100")
    done, seen = threading.Event(), []

    def look() -> None:
        while not done.is_set():
            seen.append(plain.host.containers()["a"])

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for _ in range(3):
            plain.ask("switch", name="a", revision=revision, view=plain.view("a"), run=True)
    finally:
        done.set()
        watcher.join()
    assert {container.revision for container in seen} == {revision}
    assert all(container.running == (container.instance is not None) for container in seen)
    stopped = [container.ended for container in seen if not container.running]
    assert all(ended is not None and ended.code in (143, 137) for ended in stopped)


def test_two_hives_on_one_machine_do_not_meet(plain: Machine) -> None:
    from tests.core.containers.local.machine import machine

    plain.run("a", "sleep", "100")
    with machine(None, None) as other:
        other.run("a", "sleep", "100")
        other.ask("destroy", name="a")
        assert plain.container("a").running


def test_a_container_that_had_a_sandbox_is_not_started_without_one(plain: Machine) -> None:
    plain.run("a", "sleep", "100")
    plain.ask("stop", name="a", grace=0)
    nothing = plain.home / "nothing"
    nothing.mkdir()
    path, os.environ["PATH"] = os.environ["PATH"], str(nothing)
    try:
        with pytest.raises(Refused, match="this machine offers none any more"):
            plain.ask("start", name="a", view=plain.view("a"))
    finally:
        os.environ["PATH"] = path
