"""The exported harness: one folder for each locked revision, whole or not there, kept for as long as it is used."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hive_core.containers.base import Lock
from hive_core.containers.local import harness, records
from hive_core.errors import HiveError
from hive_core.settings import Settings, from_environment
from tests.git import git
from tests.needs import needs_root

CODE = "print('one')\n"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return hive_in(tmp_path / "home")


def hive_in(home: Path) -> Settings:
    found = from_environment({"HIVE_HOME": str(home), "HIVE_RUN": str(home / "run")})
    (found.containers / "coder").mkdir(parents=True)
    return found


def commit(checkout: Path, code: str) -> Lock:
    """A checkout with one more commit, and the lock that names it."""
    if not checkout.exists():
        (checkout / "hive_agent/turns").mkdir(parents=True)
        git(checkout, "init", "-q", "-b", "main")
        (checkout / "other").write_text("not the harness")
    (checkout / "hive_agent/turns/run.py").write_text(code)
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "x")
    return Lock(checkout, git(checkout, "rev-parse", "HEAD"), (checkout,))


def exports(settings: Settings) -> set[str]:
    return {path.name for path in (settings.home / "revisions").iterdir()}


def test_it_is_exported_once_as_it_was_committed_and_nobody_can_write_it(settings: Settings, tmp_path: Path) -> None:
    lock = commit(tmp_path / "checkout", CODE)
    (tmp_path / "checkout/hive_agent/turns/run.py").write_text("edited")
    folder = harness.export(settings, lock)
    assert (folder / "turns/run.py").read_text() == CODE
    modes = {
        path.relative_to(folder.parent).as_posix(): stat.S_IMODE(path.stat().st_mode)
        for path in folder.parent.rglob("*")
    }
    assert modes == {"hive_agent": 0o555, "hive_agent/turns": 0o555, "hive_agent/turns/run.py": 0o444}
    made = folder.stat().st_ctime_ns
    assert harness.export(settings, lock) == folder
    assert folder.stat().st_ctime_ns == made


@needs_root
def test_a_checkout_of_somebody_else_that_only_they_can_read_is_exported_for_everybody(
    settings: Settings, tmp_path: Path
) -> None:
    lock = commit(tmp_path / "checkout", CODE)
    subprocess.run(["chown", "-R", "65534:65534", tmp_path / "checkout"], check=True)
    subprocess.run(["chmod", "-R", "go-rwx", tmp_path / "checkout"], check=True)
    assert (harness.export(settings, lock) / "turns/run.py").stat().st_mode & 0o444 == 0o444


@pytest.mark.parametrize("kind", ["worktree", "clone", "packed", "bare"])
def test_it_is_read_from_whatever_repository_there_is(settings: Settings, tmp_path: Path, kind: str) -> None:
    lock = commit(tmp_path / "checkout", CODE)
    where = tmp_path / kind
    match kind:
        case "worktree":
            git(tmp_path / "checkout", "worktree", "add", "-q", str(where), "-b", "other")
        case "clone":
            git(tmp_path, "clone", "-q", "--shared", str(tmp_path / "checkout"), str(where))
        case "packed":
            git(tmp_path / "checkout", "gc", "-q")
            where = tmp_path / "checkout"
        case "bare":
            git(tmp_path, "clone", "-q", "--bare", str(tmp_path / "checkout"), str(where))
    found = harness.export(settings, lock._replace(repositories=(tmp_path / "gone", where)))
    assert (found / "turns/run.py").read_text() == CODE


def test_a_lost_commit_is_told_with_what_to_do_and_one_that_was_exported_is_not_missed(
    settings: Settings, tmp_path: Path
) -> None:
    known, lost = commit(tmp_path / "checkout", CODE), commit(tmp_path / "checkout", "print('two')\n")
    harness.export(settings, known)
    tree = git(tmp_path / "checkout", "rev-parse", f"{lost.hive}:hive_agent/turns")
    (tmp_path / "checkout/.git/objects" / tree[:2] / tree[2:]).unlink()
    with pytest.raises(HiveError, match=f"{lost.hive[:12]} of hive, .* is in no repository here") as told:
        harness.export(settings, lost)
    assert "hive meta-update hive" in str(told.value)
    assert exports(settings) == {known.hive}
    shutil.rmtree(tmp_path / "checkout")
    assert harness.export(settings, known).is_dir()


def test_an_export_that_was_killed_is_made_anew(settings: Settings, tmp_path: Path) -> None:
    lock = commit(tmp_path / "checkout", CODE)
    child = os.fork()
    if child == 0:
        from tests.killing import Killer

        Killer(12, ["generations.py"]).arm()
        harness.export(settings, lock)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    assert lock.hive not in exports(settings)
    assert (harness.export(settings, lock) / "turns/run.py").read_text() == CODE
    assert exports(settings) == {lock.hive}


def test_two_that_export_the_same_at_once_both_have_it(settings: Settings, tmp_path: Path) -> None:
    lock = commit(tmp_path / "checkout", CODE)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(harness.export(settings, lock))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [settings.home / "revisions" / lock.hive / "hive_agent"] * 4


def test_what_no_agent_was_started_with_and_no_lock_names_is_removed(settings: Settings, tmp_path: Path) -> None:
    one, two, three = (commit(tmp_path / "checkout", f"print({number})\n") for number in range(3))
    coder, tester = settings.containers / "coder", settings.containers / "tester"
    tester.mkdir()
    harness.use(settings, coder, one)
    harness.use(settings, tester, two)
    assert exports(settings) == {one.hive, two.hive}
    harness.use(settings, coder, three)
    assert exports(settings) == {two.hive, three.hive}
    assert (records.harness(coder), records.harness(tester)) == (three.hive, two.hive)


def test_two_hives_have_exports_of_their_own(settings: Settings, tmp_path: Path) -> None:
    lock, other = commit(tmp_path / "checkout", CODE), hive_in(tmp_path / "other")
    for each in (settings, other):
        harness.use(each, each.containers / "coder", lock)
    newer = commit(tmp_path / "checkout", "print('two')\n")
    harness.use(settings, settings.containers / "coder", newer)
    assert (exports(settings), exports(other)) == ({newer.hive}, {lock.hive})


def test_the_exported_harness_runs_without_the_checkout(settings: Settings) -> None:
    from tests.hives import CHECKOUT

    head = git(CHECKOUT, "rev-parse", "HEAD")
    folder = harness.export(settings, Lock(CHECKOUT, head, (CHECKOUT,)))
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", str(folder)], check=False, capture_output=True, text=True, cwd="/"
    )
    assert (done.returncode, done.stderr) == (2, "usage: python3 -I <where>/hive_agent run\n")
