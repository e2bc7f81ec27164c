"""A repository as one file: main and every tag of it, made anew from that or given the tags that it lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.errors import HiveError, Refused
from hive_core.git import bundles
from hive_core.git.repository import Repository
from tests.git import git


@pytest.fixture
def bundle(applied: Repository, tmp_path: Path) -> Path:
    """Of a repository with a tag on main, one on what main has left, and one that says why."""
    first = applied.main()
    left = applied.commit({"agent.toml": b"tried"}, "tried")
    applied.annotate("failed/2", left, "It did not start.")
    git(applied.path, "update-ref", "refs/heads/main", first)
    applied.tag(["deployed/1"], first)
    bundles.write(applied.path, tmp_path / "bundle")
    return tmp_path / "bundle"


def test_what_is_made_from_it_has_main_and_every_tag(applied: Repository, bundle: Path, tmp_path: Path) -> None:
    bundles.make(bundle, tmp_path / "again")
    again = Repository(tmp_path / "again")
    assert (again.main(), again.tags()) == (applied.main(), applied.tags())
    # A message comes along, and with a tag what it is on, though no branch leads there.
    assert again.annotation("failed/2") == applied.annotation("failed/2")
    assert list(again.files(again.tags()["failed/2"])) == [("agent.toml", 0o644, b"tried")]
    assert git(again.path, "fsck", "--strict") == ""
    assert git(again.path, "branch", "--list") == "* main"


def test_nothing_is_made_over_something_else(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").write_text("somebody's")
    with pytest.raises(Refused, match="There is something at"):
        bundles.make(bundle, tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["file"]


def test_of_a_bundle_that_is_cut_off_nothing_is_made(bundle: Path, tmp_path: Path) -> None:
    whole = bundle.read_bytes()
    for size in (0, 20, len(whole) - 30):
        bundle.write_bytes(whole[:size])
        with pytest.raises(HiveError):
            bundles.make(bundle, tmp_path / "again")
        assert not (tmp_path / "again").exists()
    assert not list(tmp_path.glob(".*"))


def test_only_tags_that_are_not_there_are_taken_and_main_stays(
    applied: Repository, bundle: Path, tmp_path: Path
) -> None:
    was = applied.tags()
    bundles.make(bundle, tmp_path / "again")
    again = Repository(tmp_path / "again")
    again.untag(["failed/2"])
    # Here another commit has that name meanwhile: it is the one that counts.
    other = again.commit({"agent.toml": b"other"}, "other")
    again.untag(["deployed/1"])
    again.tag(["deployed/1", "deployed/9"], other)
    bundles.add_tags(bundle, again.path)
    found = Repository(again.path)
    assert found.main() == other
    assert found.tags() == {"deployed/1": other, "deployed/9": other, "failed/2": was["failed/2"]}
    assert found.annotation("failed/2") == applied.annotation("failed/2")
    bundles.add_tags(bundle, again.path)
    assert Repository(again.path).tags() == found.tags()


def test_more_tags_than_one_command_takes_all_come(applied: Repository, tmp_path: Path) -> None:
    bundles.write(applied.path, tmp_path / "few")
    bundles.make(tmp_path / "few", tmp_path / "again")
    lines = "".join(f"create refs/tags/deployed/{number} {applied.main()}\n" for number in range(401))
    git(applied.path, "update-ref", "--stdin", data=lines.encode())
    bundles.write(applied.path, tmp_path / "many")
    bundles.add_tags(tmp_path / "many", tmp_path / "again")
    assert Repository(tmp_path / "again").tags() == applied.tags()


def test_what_somebodys_git_would_do_is_not_done(
    applied: Repository, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[fetch]\n\tprune = true\n[core]\n\thooksPath = /nonexistent\n[bundle]\n\tversion = 9\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", str(settings))
    bundles.make(bundle, tmp_path / "again")
    again = Repository(tmp_path / "again")
    again.tag(["deployed/7"], again.main())
    bundles.add_tags(bundle, again.path)
    assert {"deployed/7", *applied.tags()} == set(Repository(again.path).tags())
