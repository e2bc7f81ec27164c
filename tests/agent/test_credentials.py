"""Usable credentials, from files that an agent may have written."""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path

import pytest

from hive_agent.clis import CLIS, Credentials
from hive_agent.credentials import LARGEST, fingerprint, usable_credentials

CLAUDE, CODEX = (CLIS[name].credentials for name in ("claude", "codex"))
GOOD = json.dumps({"claudeAiOauth": {"accessToken": "fake-token"}})


def put(folder: Path, text: str, kind: Credentials = CLAUDE) -> None:
    (folder / kind.file).write_text(text)


def test_a_token_in_the_file_is_a_login(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    assert usable_credentials(CLAUDE, tmp_path, {})
    assert usable_credentials(CLAUDE, str(tmp_path), {})


def test_an_open_folder_does_as_well(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        assert usable_credentials(CLAUDE, descriptor, {})
        assert usable_credentials(CLAUDE, descriptor, {})
    finally:
        os.close(descriptor)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (CLAUDE, CODEX) for name in kind.keys],
    ids=lambda value: str(value)[:30],
)
def test_a_key_in_the_environment_is_a_login(tmp_path: Path, kind: Credentials, name: str) -> None:
    assert usable_credentials(kind, tmp_path, {name: "fake"})
    assert not usable_credentials(kind, tmp_path, {name: " "})


@pytest.mark.parametrize(
    ("text", "usable"),
    [
        ('{"auth_mode": "chatgpt", "OPENAI_API_KEY": null, "tokens": {"access_token": "fake"}}', True),
        ('{"auth_mode": "apikey", "OPENAI_API_KEY": "fake"}', True),
        ('{"OPENAI_API_KEY": "", "tokens": {"access_token": " ", "refresh_token": "fake"}}', False),
        ('{"tokens": ["access_token"], "OPENAI_API_KEY": 7}', False),
        ("[]", False),
    ],
)
def test_codex_keeps_the_tokens_of_an_account_or_a_key(tmp_path: Path, text: str, usable: bool) -> None:
    put(tmp_path, text, CODEX)
    assert usable_credentials(CODEX, tmp_path, {}) is usable
    assert not usable_credentials(CLAUDE, tmp_path, {})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"claudeAiOauth": null}',
        '{"claudeAiOauth": {"accessToken": ""}}',
        '{"claudeAiOauth": {"accessToken": "  "}}',
        '{"claudeAiOauth": {"accessToken": 7}}',
        '{"claudeAiOauth": {"accessToken": ["x"]}}',
        "[" * 100_000,
        GOOD + " " * LARGEST,
        "\udcff",
    ],
    ids=str,
)
def test_a_file_without_a_token_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / ".credentials.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert not usable_credentials(CLAUDE, tmp_path, {})


def test_no_folder_and_a_full_folder_without_the_file_are_none(tmp_path: Path) -> None:
    assert not usable_credentials(CLAUDE, tmp_path / "absent", {})
    (tmp_path / "history.jsonl").write_text("{}")
    assert not usable_credentials(CLAUDE, tmp_path, {})


def test_no_link_is_followed_neither_to_the_file_nor_to_the_folder(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    put(real, GOOD)
    (tmp_path / "folder").symlink_to(real)
    assert not usable_credentials(CLAUDE, tmp_path / "folder", {})
    (tmp_path / ".credentials.json").symlink_to(real / ".credentials.json")
    assert not usable_credentials(CLAUDE, tmp_path, {})


def test_a_named_pipe_and_a_folder_in_its_place_do_not_hold_anyone_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".credentials.json")
    assert not usable_credentials(CLAUDE, tmp_path, {})
    (tmp_path / ".credentials.json").unlink()
    (tmp_path / ".credentials.json").mkdir()
    assert not usable_credentials(CLAUDE, tmp_path, {})


def test_the_fingerprint_changes_with_every_write_and_replacement(tmp_path: Path) -> None:
    seen = [fingerprint(CLAUDE, tmp_path)]
    for number in range(3):
        (tmp_path / "new").write_text(f"{number}")
        (tmp_path / "new").rename(tmp_path / ".credentials.json")
        seen.append(fingerprint(CLAUDE, tmp_path))
    assert seen[0] is None
    assert all(before != after for before, after in itertools.pairwise(seen))
