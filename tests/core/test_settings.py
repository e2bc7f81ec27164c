"""Where hive keeps things: by the environment, the same for whoever asks, and never in a shared folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive_core import settings
from hive_core.errors import Invalid
from hive_core.settings import from_environment


def as_user(monkeypatch: pytest.MonkeyPatch, uid: int) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)


def test_root_has_the_folders_of_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(monkeypatch, 0)
    found = from_environment({"HOME": "/root", "XDG_STATE_HOME": "/x", "XDG_RUNTIME_DIR": "/run/user/0"})
    assert (found.home, found.run) == (Path("/var/lib/hive"), Path("/run/hive"))


@pytest.mark.parametrize(
    ("environ", "home", "run"),
    [
        ({"HOME": "/home/a", "XDG_RUNTIME_DIR": "/run/user/7"}, "/home/a/.local/state/hive", "/run/user/7/hive"),
        ({"HOME": "/home/a", "XDG_STATE_HOME": "/s", "XDG_RUNTIME_DIR": "/r"}, "/s/hive", "/r/hive"),
        # As cron starts it: there is no runtime folder, and the sockets lie where nobody else comes.
        ({"HOME": "/home/a"}, "/home/a/.local/state/hive", "/home/a/.local/state/hive/run"),
        ({"HOME": "/home/a", "XDG_RUNTIME_DIR": "", "HIVE_HOME": "/srv/h"}, "/srv/h", "/srv/h/run"),
        ({"HIVE_HOME": "/srv/h", "HIVE_RUN": "/srv/r"}, "/srv/h", "/srv/r"),
        ({}, "/nonexistent/.local/state/hive", "/nonexistent/.local/state/hive/run"),
    ],
)
def test_a_plain_user_has_their_own(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], home: str, run: str
) -> None:
    as_user(monkeypatch, 4_000_123)
    found = from_environment(environ)
    assert (str(found.home), str(found.run)) == (home, run)


def test_a_runtime_folder_of_another_user_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    as_user(monkeypatch, tmp_path.stat().st_uid + 1)
    monkeypatch.setattr(settings, "Path", lambda path: tmp_path if str(path).startswith("/run/user/") else Path(path))
    assert settings._runtime_folder() is None
    as_user(monkeypatch, tmp_path.stat().st_uid)
    assert settings._runtime_folder() == str(tmp_path)


@pytest.mark.parametrize("variable", ["HIVE_HOME", "HIVE_RUN"])
def test_a_folder_that_cannot_be_is_refused_by_its_variable(variable: str) -> None:
    others = {"HIVE_HOME": "/srv/h", "HIVE_RUN": "/srv/r"}
    with pytest.raises(Invalid, match=f"{variable} is 'here', which is not an absolute path"):
        from_environment({**others, variable: "here"})
    with pytest.raises(Invalid, match=f"{variable} is .*: that is not UTF-8") as refused:
        from_environment({**others, variable: "/srv/\udcff"})
    assert refused.value.hint == f"Name another folder, as in {variable}=/srv/hive."


def test_every_folder_is_below_the_two_that_are_named() -> None:
    found = from_environment({"HIVE_HOME": "/srv/h", "HIVE_RUN": "/srv/r"})
    below = (found.database, found.agents, found.applied, found.meta, found.containers, found.proposed, found.locks)
    assert [str(path) for path in below] == [
        f"/srv/h/{name}" for name in ("hive.db", "agents", "applied", "meta", "containers", "proposed", "locks")
    ]
    assert str(found.sockets) == "/srv/r/sockets"


def test_who_only_looks_goes_on_with_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    found = from_environment({"HIVE_HOME": str(tmp_path), "HIVE_BACKEND": "memory", "HIVE_TESTING": "1"})
    assert found.backend == "memory"
    (tmp_path / "hive.toml").write_text("nonsense\n")
    assert found.choices_or_defaults.values["pronouns"] == "she/her"
    assert found.backend == "memory"
    with pytest.raises(Exception, match=r"hive\.toml, line 1"):
        _ = found.pronouns
    with pytest.raises(Exception, match=r"hive\.toml, line 1"):
        _ = found.flake
