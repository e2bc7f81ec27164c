"""Faults of the machine: a request is used up by what is wrong with its configuration, and by nothing else."""

from __future__ import annotations

import pytest

from hive_fleet.flake import flake
from tests.hives import PLAIN, TestHive

NEW = 'runner = "command"\nsettle_seconds = 0.05\ncommand = ["sh", "-c", "echo new; exec sleep infinity"]\n'


@pytest.fixture
def coder(hive: TestHive) -> TestHive:
    hive.spawn("coder")
    return hive


def status(hive: TestHive, number: int) -> str:
    return str(hive.json("show", str(number))["approval"]["status"])


def tags(hive: TestHive) -> list[str]:
    return hive.git("applied/coder", "tag").splitlines()


def only_python(hive: TestHive) -> None:
    """A PATH on which no program is."""
    empty = hive.root / "empty"
    empty.mkdir()
    hive.extra["PATH"] = str(empty)


@pytest.mark.remembered
def test_a_spawn_waits_while_git_is_missing_and_is_made_when_it_is_there(hive: TestHive) -> None:
    folder = hive.root / "base"
    folder.mkdir()
    # Of a kind that only git reads.
    hive.git(str(folder), "init", "-q", "-b", "main", "--object-format=sha256")
    hive.git(str(folder), "commit", "-q", "--allow-empty", "-m", "one")
    hive.extra["HIVE_FLAKE"] = flake.local_url(folder, "ref", "main")
    hive.configure("coder", PLAIN)
    hive.run("request-spawn", "coder")
    only_python(hive)
    told = hive.run("approve", "1", code=1).stderr
    assert "git is not installed" in told
    assert "Request 1: pending. It can be approved again when that is mended." in told
    del hive.extra["PATH"]
    assert hive.json("list") == []
    hive.run("approve", "1")
    assert hive.agent("coder")["running"] is True


@pytest.mark.parametrize("where", ["containers/coder/generations", "containers/coder/root"])
def test_a_commit_waits_while_the_disk_is_not_as_it_should_be(coder: TestHive, where: str) -> None:
    number = coder.request("coder", NEW)
    main = coder.git("applied/coder", "rev-parse", "main")
    aside, place = coder.home / "aside", coder.home / where
    place.rename(aside)
    place.write_text("in the way")
    told = coder.run("approve", str(number), code=1).stderr
    assert f"Request {number}: pending." in told
    assert "Traceback" not in told
    place.unlink()
    aside.rename(place)
    assert status(coder, number) == "pending"
    coder.run("start", "coder")
    assert coder.git("applied/coder", "rev-parse", "main") == main
    assert tags(coder) == [f"proposal/{number}"]
    coder.run("approve", str(number))
    assert f"deployed/{number}" in tags(coder)


def test_a_spawn_waits_while_its_folder_cannot_be_made(hive: TestHive) -> None:
    hive.run("request-spawn", "coder")
    (hive.home / "containers").write_text("in the way")
    assert "Request 1: pending." in hive.run("approve", "1", code=1).stderr
    (hive.home / "containers").unlink()
    assert hive.json("list") == []
    hive.run("approve", "1")


def test_a_program_of_the_configuration_that_is_not_there_fails_the_request(coder: TestHive) -> None:
    number = coder.request("coder", 'runner = "command"\ncommand = ["/state/nothing"]\n')
    pid = coder.pid("coder")
    told = coder.run("approve", str(number), code=1).stderr
    assert "the program /state/nothing is not there" in told
    assert status(coder, number) == "failed"
    assert "the program /state/nothing is not there" in coder.git("applied/coder", "show", f"failed/{number}")
    row = coder.agent("coder")
    assert (row["running"], coder.pid("coder") != pid) == (True, True)
