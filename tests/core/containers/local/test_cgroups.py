"""Control groups where they can be written: limits set for real, killed to the last process, removed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import pytest

from hive_core.containers.local import cgroups
from hive_core.errors import HiveError

NAME = f"hive-test-{os.getpid()}"
writable = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_a_place_differs_by_home_and_by_name() -> None:
    places = {cgroups.place(home, name) for home in ("/a", "/a/b") for name in ("b", "c")}
    assert len(places) == 4
    assert cgroups.place("/a", "b") == cgroups.place("/a", "b")


@writable
def test_everything_in_a_group_is_killed_and_the_group_removed() -> None:
    folders, notice = cgroups.create(NAME, {"pids": 50.0})
    assert notice is None
    script = "(setsid sleep 100 &); (setsid sleep 100 &); echo ready; exec sleep 100"
    enter = "".join(f"echo 0 >{folder}/cgroup.procs; " for folder in folders)
    with subprocess.Popen(["sh", "-c", enter + script], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert len(cgroups.members(folders[0])) == 3
        assert cgroups.kill(folders)
    assert cgroups.remove(folders) == []
    assert not any(Path(folder).exists() for folder in folders)


@writable
def test_a_group_that_a_dead_supervisor_left_is_made_anew() -> None:
    folders, _notice = cgroups.create(NAME, {"pids": 50.0})
    with subprocess.Popen(["sleep", "100"]) as left:
        Path(folders[0], "cgroup.procs").write_text(str(left.pid))
        again, _notice = cgroups.create(NAME, {"pids": 20.0})
        assert left.wait(30) == -9
    assert again == folders
    cgroups.remove(again)


@writable
@pytest.mark.skipif(not Path("/proc/self/cgroup").read_text().count("0::"), reason="needs control groups of version 2")
def test_groups_that_an_agent_made_in_its_own_go_with_it() -> None:
    folders, _notice = cgroups.create(NAME, {})
    deepest = Path(folders[0], *["in"] * 20)
    with pytest.raises(OSError, match="temporarily unavailable"):
        deepest.mkdir(parents=True)
    # As its user can, where the machine lets it write to its own group.
    Path(folders[0], "cgroup.max.descendants").write_text("max")
    deepest.mkdir(parents=True)
    (deepest / "beside").mkdir()
    with subprocess.Popen(["sleep", "100"]) as hidden:
        (deepest / "cgroup.procs").write_text(str(hidden.pid))
        again, _notice = cgroups.create(NAME, {})
        assert (again, hidden.wait(30)) == (folders, -9)
    Path(folders[0], "cgroup.max.descendants").write_text("max")
    (Path(folders[0]) / "more").mkdir()
    assert cgroups.remove(folders) == []
    assert not Path(folders[0]).exists()


# Mounts the hierarchies in namespaces of its own, and writes to whatever files of limits it finds there.
LIFT = """
mount -t tmpfs none /mnt; mkdir /mnt/1 /mnt/2
mount -t cgroup -o pids none /mnt/1; mount -t cgroup2 none /mnt/2
for file in $(find /mnt -name pids.max -o -name cgroup.max.descendants); do echo max >$file; done
for file in $(find /mnt -name cgroup.procs); do cat $file; done
echo done; exec sleep 100
"""
SOMEBODY = 54321
LIMITS = {"pids.max": "50\n", "cgroup.max.descendants": "1\n"}


@pytest.fixture
def delegated() -> Iterator[list[Path]]:
    """Groups of another user's, as a service manager hands them to whoever logs in, in which there is one to be in."""
    made = [Path(folder, f"{NAME}-user") for folder in cgroups._parents({"pids": 0})]
    for folder in made:
        (folder / "in").mkdir(parents=True)
        if "pids" in " ".join(cgroups._lines(str(folder / "cgroup.controllers"))).split():
            (folder / "cgroup.subtree_control").write_text("+pids")
        for path in (folder, folder / "in", *folder.iterdir(), *(folder / "in").iterdir()):
            os.chown(path, SOMEBODY, SOMEBODY)
    yield made
    assert cgroups.remove(map(str, made)) == []


@writable
def test_who_is_hives_own_user_cannot_lift_its_limits(delegated: list[Path]) -> None:
    def become_an_agent() -> None:
        cgroups.enter(str(folder / "in") for folder in delegated)
        os.setgroups([])
        os.setresgid(SOMEBODY, SOMEBODY, SOMEBODY)
        os.setresuid(SOMEBODY, SOMEBODY, SOMEBODY)
        made, _notice = cgroups.create(NAME, {"pids": 50.0})
        cgroups.enter(made)

    command = ["unshare", "--user", "--map-root-user", "--mount", "--cgroup", "sh", "-c", LIFT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=become_an_agent) as process:  # noqa: PLW1509
        assert process.stdout is not None
        found = list(takewhile(lambda line: line != "done\n", process.stdout))
        groups = [group for folder in delegated for group in folder.rglob(NAME)]
        limits = {path.name: path.read_text() for group in groups for path in group.iterdir() if path.name in LIMITS}
        members = [cgroups.members(str(group)) for group in groups]
        assert cgroups.kill(map(str, groups))
    # It has found its own groups, and those alone.
    assert len(found) >= 2
    assert limits == {name: text for name, text in LIMITS.items() if name in limits}
    assert "pids.max" in limits
    assert all(process.pid in each for each in members)


@writable
def test_a_limit_that_cannot_be_set_is_an_error_and_leaves_nothing() -> None:
    with pytest.raises(HiveError, match="could not be set"):
        cgroups.create(NAME, {"pids": -5.0})
    assert not [root for root, _folders, _files in os.walk("/sys/fs/cgroup") if root.endswith(NAME)]


@writable
def test_a_group_lies_within_the_one_hive_is_in() -> None:
    folders, _notice = cgroups.create(NAME, {"memory": 2.0**26})
    own = {line.split(":", 2)[2] for line in Path("/proc/self/cgroup").read_text().splitlines()}
    try:
        assert all(any(str(Path(folder).parent).endswith(path.rstrip("/")) for path in own) for folder in folders)
    finally:
        cgroups.remove(folders)


def test_what_is_gone_already_is_no_error() -> None:
    assert cgroups.kill(["/sys/fs/cgroup/hive-nothing"])
    assert cgroups.remove(["/sys/fs/cgroup/hive-nothing"]) == []
    assert not cgroups.out_of_memory(["/sys/fs/cgroup/hive-nothing"])
