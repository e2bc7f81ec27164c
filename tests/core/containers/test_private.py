"""The places that no sandbox may show: what is one, what holds one, and what has to be hidden where its folder is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.private import Private, find
from hive_core.settings import from_environment
from tests.properties import thorough

KNOWN = Private(
    hive={"/var/lib/hive": "hive's own state", "/run/hive": "hive's sockets"},
    homes={"/home/ann": "the home /home/ann"},
    keys={"/home/ann/.ssh": "/home/ann/.ssh", "/proc": "/proc"},
    kept={"/home/ann/.config": "/home/ann/.config", "/var": "/var", "/home": "/home"},
)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/", "it is the whole machine"),
        ("/var/lib/hive", "it is hive's own state"),
        ("/var/lib", "it holds hive's own state"),
        ("/home/ann", "it is the home /home/ann"),
        ("/home/ann/.ssh", "it is /home/ann/.ssh"),
        ("/home/ann/.ssh/id", "it lies in /home/ann/.ssh"),
        ("/home/ann/.config", "it is /home/ann/.config"),
        ("/home/ann/.config/program", None),
        ("/home/ann/tools", None),
        ("/home/bob", "it is somebody's home"),
        ("/proc/1", "it lies in /proc"),
        ("/var", "it holds hive's own state"),
        ("/var/lib/hive-of-another", None),
        ("/opt/tools", None),
        ("//", "it is the whole machine"),
        ("//home/bob", "it is somebody's home"),
        ("//proc/1", "it lies in /proc"),
        ("//var/lib", "it holds hive's own state"),
    ],
)
def test_why_a_place_may_not_be_shown_ends_a_sentence(path: str, why: str | None) -> None:
    assert KNOWN.why_not(Path(path)) == why


def test_nothing_in_hive_s_own_folders_is_a_program_of_the_machine() -> None:
    assert KNOWN.why_not(Path("/var/lib/hive/agents/coder/tool")) is None
    assert KNOWN.why_no_program(Path("/var/lib/hive/agents/coder/tool")) == "it lies in hive's own state"
    assert KNOWN.why_no_program(Path("//var/lib/hive/agents/coder/tool")) == "it lies in hive's own state"
    assert KNOWN.why_no_program(Path("/home/ann")) == "it is the home /home/ann"
    assert KNOWN.why_no_program(Path("/opt/tools/run")) is None


def test_where_a_folder_of_the_system_is_shown_the_outermost_private_places_in_it_are_hidden() -> None:
    assert KNOWN.within(Path("/home")) == [Path("/home/ann")]
    assert KNOWN.within(Path("/var")) == [Path("/var/lib/hive")]
    assert KNOWN.within(Path("/usr")) == []
    assert KNOWN.within(Path("//var")) == [Path("/var/lib/hive")]
    assert KNOWN.hides(Path("/home/ann/anything"))
    assert KNOWN.hides(Path("//home/ann/anything"))
    assert not KNOWN.hides(Path("/home/bob"))


parts = st.lists(st.sampled_from(["home", "ann", ".ssh", "var", "lib", "hive", "run", "x"]), min_size=1, max_size=4)


@thorough
@given(parts)
def test_what_holds_or_lies_in_what_may_not_be_shown_may_not_be_shown_either(names: list[str]) -> None:
    path = Path("/", *names)
    for place in (*KNOWN.hive, *KNOWN.homes, *KNOWN.keys):
        if Path(place).is_relative_to(path):
            assert KNOWN.why_not(path) is not None
            assert KNOWN.why_no_program(path) is not None
    if any(path.is_relative_to(place) for place in KNOWN.keys):
        assert KNOWN.why_not(path) is not None
    if KNOWN.hides(path):
        assert any(path.is_relative_to(hidden) for hidden in KNOWN.within(Path("/home")) + KNOWN.within(Path("/var"))
                   + KNOWN.within(Path("/run")) + KNOWN.within(Path("/proc")))  # fmt: skip


def test_of_this_machine_the_homes_and_this_hives_own_folders_are_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "somebody"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", f"/{home}")
    settings = from_environment({"HIVE_HOME": f"/{tmp_path}/h", "HIVE_RUN": f"/{tmp_path}/r"})
    found = find(settings)
    assert found.why_not(tmp_path / "h") == "it is hive's own state"
    assert found.why_not(tmp_path / "r") == "it is hive's sockets"
    assert found.why_not(home) == f"it is the home {home}"
    assert found.why_not(home / ".ssh" / "id") == f"it lies in {home / '.ssh'}"
    assert found.why_not(Path("/usr/bin")) is None
    # By a link it is the same place.
    os.symlink(tmp_path / "h", tmp_path / "link")
    assert found.why_not((tmp_path / "link").resolve()) == "it is hive's own state"


def test_a_home_that_was_made_in_hive_s_state_is_an_agents_and_not_a_persons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "h" / "agents" / "coder"))
    found = find(from_environment({"HIVE_HOME": str(tmp_path / "h"), "HIVE_RUN": str(tmp_path / "r")}))
    assert str(tmp_path / "h" / "agents" / "coder") not in found.homes
