"""The operator's settings: the file, what goes before it, and what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hive_core import choices
from hive_core.errors import HiveError, Refused


def read(home: Path, text: str | None = None, **environ: str) -> choices.Choices:
    if text is not None:
        (home / choices.FILE).write_text(text)
    return choices.read(home, choices.chosen(environ))


def test_without_a_file_the_defaults_hold(tmp_path: Path) -> None:
    found = read(tmp_path)
    assert found.values == {key.name: key.default for key in choices.KEYS}
    assert set(found.origins.values()) == {choices.DEFAULT}
    assert found.values == choices.defaults().values


def test_what_the_file_holds_is_named_with_its_line_and_the_environment_goes_before_it(tmp_path: Path) -> None:
    text = '# Mine.\npronouns = "they/them"\nports.first = 9000\n\n[clis]\ncodex = "/opt/codex"\n'
    found = read(tmp_path, text)
    assert (found.values["pronouns"], found.origins["pronouns"]) == ("they/them", "hive.toml, line 2")
    assert (found.values["ports.first"], found.origins["ports.first"]) == (9000, "hive.toml, line 3")
    assert (found.programs, found.origins["clis.codex"]) == ({"codex": "/opt/codex"}, "hive.toml, line 6")
    found = read(tmp_path, HIVE_OPERATOR_PRONOUNS="he/him", HIVE_CODEX="")
    assert (found.values["pronouns"], found.origins["pronouns"]) == (
        "he/him",
        "HIVE_OPERATOR_PRONOUNS in the environment",
    )
    assert found.values["clis.codex"] == "/opt/codex"


def test_a_change_of_the_file_holds_at_once(tmp_path: Path) -> None:
    for name in ("one", "two", "six"):
        assert read(tmp_path, f'pronouns = "{name}"').values["pronouns"] == name
    (tmp_path / choices.FILE).unlink()
    assert read(tmp_path).values["pronouns"] == "she/her"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('\npronuns = "x"\n', "line 2: pronuns is not a key hive knows; perhaps it is pronouns"),
        ("pronouns = 7\n", "line 1: pronouns is 7; give a text"),
        ('[clis]\nclade = "/x"\n', "line 2: clis.clade is not a key hive knows; perhaps it is claude"),
        ('[clis]\nclaude = "claude"\n', 'line 2: clis.claude is "claude"; give the absolute path of a program'),
        ("clis = 1\n", "line 1: clis is 1; give a table of claude, codex"),
        ("[ports]\nmanager = 80\n", "line 2: ports.manager is 80; give a whole number from 1024 to 65535"),
        ("[ports]\nfirst = true\n", "line 2: ports.first is true; give a whole number"),
        ("[ports]\nfirst = 65000\n", "line 1: ports.count leads to port 65899; the last port is 65535"),
        ('page = "off"\n', 'line 1: page is "off"; give a table of serve, host, origin'),
        (
            '[page]\nhost = "Hive"\n',
            'line 2: page.host is "Hive"; give a name, and a port where it is not the usual one',
        ),
        ('[page]\norigin = "hive.test"\n', 'line 2: page.origin is "hive.test"; give it as a browser does'),
        ('[page]\norigin = "https://hive.test/"\n', "give it as a browser does"),
        ('backend = "docker"\n', 'line 1: backend is "docker"; give one of local'),
        ('[new_agents]\nmodle = "x"\n', "line 2: new_agents.modle is not a key hive knows; perhaps it is model"),
        ('[new_agents]\nrunner = "exec"\n', 'line 1: new_agents.command is missing; the runner "exec" needs it'),
        ('[new_agents.limits]\nmemory = "lots"\n', 'line 2: new_agents.limits.memory is "lots"; give a size'),
        ("pronouns =\n", "line 1: this is not TOML"),
        ("x" + ".x" * 30_000 + " = 1", "line 1: this key has more than 16 parts"),
        ("#" * 70_000, "is larger than 64 KiB"),
    ],
)
def test_a_bad_key_is_refused_with_file_line_and_key_and_what_is_near(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(Refused) as refused:
        read(tmp_path, text)
    assert str(tmp_path / choices.FILE) in refused.value.message
    assert words in refused.value.message


def test_a_file_that_is_no_text_or_no_file_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / choices.FILE).write_bytes(b"pronouns = '\xff'")
    with pytest.raises(Refused, match=r"hive\.toml cannot be read: it is not UTF-8"):
        read(tmp_path)
    (tmp_path / choices.FILE).unlink()
    (tmp_path / choices.FILE).mkdir()
    with pytest.raises(Refused, match=r"hive\.toml cannot be read: Is a directory"):
        read(tmp_path)


def test_a_pipe_in_the_files_place_holds_nobody_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / choices.FILE)
    with pytest.raises(Refused, match=r"hive\.toml cannot be read: it is no file"):
        read(tmp_path)


def test_a_variable_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(HiveError, match="HIVE_BACKEND is 'docker'; this hive knows: local"):
        read(tmp_path, HIVE_BACKEND="docker")
    assert choices.defaults((("HIVE_BACKEND", "docker"),)).values["backend"] == "local"
