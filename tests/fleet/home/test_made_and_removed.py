"""What an agent has on the disk: made where it is missing, left as it is where it is not, removed but for what is kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hive_core.containers import config
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_core.git.repository import Repository
from hive_fleet.home import folders
from tests.git import commit, git

pytestmark = pytest.mark.remembered
PLACES = ("proposed", "applied", "sockets", "state")


@pytest.fixture
def inside(enlist: Callable[..., Hive]) -> Hive:
    return enlist("coder")


def place(hive: Hive, name: str) -> Path:
    return {
        "proposed": hive.settings.proposed / "coder",
        "applied": hive.applied_path("coder"),
        "sockets": hive.settings.sockets / "coder",
        "state": hive.agent_path("coder"),
    }[name]


def made(hive: Hive) -> Hive:
    folders.ensure(hive, "coder", {}, new=True)
    folders.ensure_sockets(hive, "coder")
    return hive


def everything(hive: Hive) -> dict[Path, tuple[int, int, int]]:
    """Every file there is, as which one it is and when it was written."""
    found = sorted(path for path in hive.settings.home.rglob("*") if "locks" not in path.parts)
    return {path: (status.st_ino, status.st_mtime_ns, status.st_mode) for path in found if (status := path.lstat())}


def test_a_new_agent_begins_with_a_configuration_that_can_be_read(inside: Hive) -> None:
    made(inside)
    applied = Repository(inside.applied_path("coder"))
    files = {path: data.decode() for path, _mode, data in applied.files(applied.main())}
    assert sorted(files) == ["agent.nix", "agent.toml", "flake.nix"]
    assert config.parse(files["agent.toml"]).runner == "claude"
    assert 'name = "coder"; email = "coder@hive";' in files["flake.nix"]
    # Everybody begins from the same commit.
    for clone in (inside.agent_path("coder"), inside.settings.proposed / "coder"):
        assert git(clone / "config", "-c", "safe.directory=*", "rev-parse", "HEAD") == applied.main()
    assert os.readlink(inside.settings.proposed / "coder" / "applied.git") == "/applied/coder/.git"


def test_what_is_the_agents_own_is_nobody_elses(inside: Hive) -> None:
    made(inside)
    for name in ("", "state", "claude"):
        assert stat.S_IMODE((inside.agent_path("coder") / name).stat().st_mode) == 0o700


def test_again_is_as_good_as_once(inside: Hive) -> None:
    before = everything(made(inside))
    assert everything(made(inside)) == before


@pytest.mark.parametrize(
    "gone", ["agents/coder/state", "agents/coder/config", "proposed/coder", "proposed/coder/applied.git"]
)
def test_only_what_is_missing_is_made(inside: Hive, gone: str) -> None:
    before = everything(made(inside))
    place = inside.settings.home / gone
    folders._remove(place)
    after = everything(made(inside))
    assert after.keys() >= before.keys()
    assert {path for path in before if after[path][0] != before[path][0]} <= {
        path for path in before if path == place or path.is_relative_to(place)
    }


def test_a_configuration_that_lies_there_already_is_what_it_begins_from(inside: Hive) -> None:
    config = inside.agent_path("coder") / "config"
    config.mkdir(parents=True)
    git(config, "init", "-q", "-b", "main")
    sha = commit(config, {"agent.toml": 'runner = "command"\ncommand = ["true"]\n'})
    (config / "agent.toml").write_text("not committed")
    made(inside)
    assert Repository(inside.applied_path("coder")).main() == sha
    assert (config / "agent.toml").read_text() == "not committed"


def test_a_folder_that_is_no_repository_is_told_and_nothing_is_begun_from_it(inside: Hive) -> None:
    config = inside.agent_path("coder") / "config"
    config.mkdir(parents=True)
    with pytest.raises(Refused, match="is no git repository with a commit") as refused:
        made(inside)
    assert refused.value.hint == "Commit in it, or remove it."
    assert not inside.applied_path("coder").exists()


@pytest.mark.parametrize("kept", [(), ("state", "applied"), ("proposed",)])
def test_all_is_removed_but_what_is_kept_and_again_is_as_good_as_once(inside: Hive, kept: tuple[str, ...]) -> None:
    made(inside)
    for _ in range(2):
        folders.remove(inside, "coder", kept=kept)
        assert [name for name in PLACES if place(inside, name).exists()] == [name for name in PLACES if name in kept]


def test_sockets_of_another_hive_are_not_removed(inside: Hive) -> None:
    made(inside)
    (inside.settings.run / "home").write_text("/somewhere/else")
    folders.remove(inside, "coder")
    assert place(inside, "sockets").exists()
    assert not place(inside, "state").exists()
