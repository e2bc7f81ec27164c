"""Usable credentials, from files that an agent may have written."""

from __future__ import annotations

import base64
import itertools
import json
import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given as tried_with
from hypothesis import strategies as st

from hive_agent.clis import CLIS, Credentials
from hive_agent.credentials import LARGEST, LOGIN, fingerprint, given, has_login, look, means, why_no_login
from hive_agent.own_settings import Own
from tests.properties import documents, texts, thorough

CLAUDE, CODEX = (CLIS[name].credentials for name in ("claude", "codex"))
GOOD = json.dumps({"claudeAiOauth": {"accessToken": "fake-token"}})


def put(folder: Path, text: str, kind: Credentials = CLAUDE) -> None:
    (folder / kind.file).write_text(text)


def let_in(kind: Credentials, folder: Path, **environment: str) -> str | None:
    """What the CLI is let in by."""
    return means(kind, look(kind, folder), given(environment))


def refusal(kind: Credentials, folder: Path, **environment: str) -> str | None:
    """Why a login would not help."""
    return why_no_login(kind, look(kind, folder), given(environment))


def claude_login(**fields: object) -> str:
    return json.dumps({"claudeAiOauth": {"accessToken": "fake-token", **fields}})


def codex_login(expires: float, **fields: object) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires}).encode()).decode().rstrip("=")
    return json.dumps({"tokens": {"access_token": f"e30.{claims}.fake", **fields}})


def test_a_token_in_the_file_is_a_login(tmp_path: Path) -> None:
    put(tmp_path, GOOD)
    assert has_login(CLAUDE, tmp_path)
    assert let_in(CLAUDE, tmp_path) == LOGIN


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in (CLAUDE, CODEX) for name in kind.keys],
    ids=lambda value: str(value)[:30],
)
def test_a_key_in_the_environment_is_a_login(tmp_path: Path, kind: Credentials, name: str) -> None:
    assert let_in(kind, tmp_path, **{name: "fake"}) == name
    assert let_in(kind, tmp_path, **{name: " "}) is None


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
    assert has_login(CODEX, tmp_path) is usable
    assert not has_login(CLAUDE, tmp_path)


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
    assert not has_login(CLAUDE, tmp_path)


def test_no_folder_and_a_full_folder_without_the_file_are_none(tmp_path: Path) -> None:
    assert not has_login(CLAUDE, tmp_path / "absent")
    (tmp_path / "history.jsonl").write_text("{}")
    assert not has_login(CLAUDE, tmp_path)


def test_no_link_is_followed_neither_to_the_file_nor_to_the_folder(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    put(real, GOOD)
    (tmp_path / "folder").symlink_to(real)
    assert not has_login(CLAUDE, tmp_path / "folder")
    (tmp_path / ".credentials.json").symlink_to(real / ".credentials.json")
    assert not has_login(CLAUDE, tmp_path)


def test_a_named_pipe_and_a_folder_in_its_place_do_not_hold_anyone_up(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".credentials.json")
    assert not has_login(CLAUDE, tmp_path)
    (tmp_path / ".credentials.json").unlink()
    (tmp_path / ".credentials.json").mkdir()
    assert not has_login(CLAUDE, tmp_path)


def test_the_fingerprint_changes_with_every_write_and_replacement(tmp_path: Path) -> None:
    seen = [fingerprint(tmp_path, CLAUDE.file)]
    for number in range(3):
        (tmp_path / "new").write_text(f"{number}")
        (tmp_path / "new").rename(tmp_path / ".credentials.json")
        seen.append(fingerprint(tmp_path, CLAUDE.file))
    assert seen[0] == (None,)
    assert all(before != after for before, after in itertools.pairwise(seen))


@pytest.mark.parametrize(
    ("fields", "usable"),
    [
        ({"expiresAt": 1000}, False),
        ({"expiresAt": 1000, "refreshToken": " "}, False),
        ({"expiresAt": 1000, "refreshToken": "fake"}, True),
        ({"expiresAt": 4102444800000}, True),
        ({"expiresAt": None}, True),
        ({"expiresAt": "soon"}, True),
        ({"expiresAt": float("nan")}, False),
    ],
)
def test_a_token_that_has_expired_and_cannot_be_renewed_is_no_login(
    tmp_path: Path, fields: dict[str, object], usable: bool
) -> None:
    put(tmp_path, claude_login(**fields))
    assert has_login(CLAUDE, tmp_path) is usable


def test_a_token_that_says_itself_until_when_it_is_good_is_believed(tmp_path: Path) -> None:
    put(tmp_path, codex_login(time.time() + 3600), CODEX)
    assert has_login(CODEX, tmp_path)
    put(tmp_path, codex_login(time.time() - 3600), CODEX)
    assert not has_login(CODEX, tmp_path)
    put(tmp_path, codex_login(time.time() - 3600, refresh_token="fake"), CODEX)
    assert has_login(CODEX, tmp_path)
    for odd in ("a.b.c", "..", "e30.\u00e9.x", "e30." + "W" * 4000 + ".x"):
        put(tmp_path, json.dumps({"tokens": {"access_token": odd}}), CODEX)
        assert has_login(CODEX, tmp_path)


@pytest.mark.parametrize("name", CLAUDE.switches)
def test_a_cloud_provider_needs_no_login_and_none_would_help(tmp_path: Path, name: str) -> None:
    assert let_in(CLAUDE, tmp_path, **{name: "1"}) == name
    assert let_in(CLAUDE, tmp_path, **{name: " True "}) == name
    assert refusal(CLAUDE, tmp_path, **{name: "1"}) == f"{name} is set for it and goes before a login"
    for no in ("0", "false", "", "maybe"):
        assert let_in(CLAUDE, tmp_path, **{name: no}) is None
        assert refusal(CLAUDE, tmp_path, **{name: no}) is None


@pytest.mark.parametrize(
    ("settings", "by"),
    [
        ({"apiKeyHelper": "/bin/print-key"}, "apiKeyHelper of its settings.json"),
        ({"env": {"ANTHROPIC_API_KEY": "fake"}}, "ANTHROPIC_API_KEY"),
        ({"env": {"CLAUDE_CODE_USE_VERTEX": "1"}}, "CLAUDE_CODE_USE_VERTEX"),
        ({"env": {"CLAUDE_CODE_USE_VERTEX": "0"}}, None),
        ({"env": {"ANTHROPIC_API_KEY": ["fake"]}, "apiKeyHelper": ""}, None),
        ({"env": ["ANTHROPIC_API_KEY"], "apiKeyHelper": 7}, None),
        (["apiKeyHelper"], None),
    ],
)
def test_claudes_own_settings_may_hold_a_key_or_what_prints_one(tmp_path: Path, settings: object, by: str) -> None:
    (tmp_path / "settings.json").write_text(json.dumps(settings))
    assert let_in(CLAUDE, tmp_path) == by


LAB = 'model_provider = "lab"\n[model_providers.lab]\nname = "lab"\nbase_url = "http://127.0.0.1:9/v1"\n'


def test_a_provider_of_codex_is_ready_with_its_key_and_says_which_one_is_missing(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(LAB + 'env_key = "LAB_KEY"\n')
    provider = "the provider lab of its config.toml"
    assert let_in(CODEX, tmp_path, LAB_KEY="fake") == provider
    assert let_in(CODEX, tmp_path) is None
    put(tmp_path, '{"OPENAI_API_KEY": "fake"}', CODEX)
    assert let_in(CODEX, tmp_path, CODEX_API_KEY="fake") is None
    assert refusal(CODEX, tmp_path) == f"{provider} is used, which lacks LAB_KEY: set that in its agent.toml"


def test_a_provider_of_codex_without_a_key_is_ready_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(LAB)
    assert let_in(CODEX, tmp_path)
    (tmp_path / "config.toml").write_text('model_provider = "ollama"\n')
    assert let_in(CODEX, tmp_path)
    (tmp_path / "config.toml").write_text(
        LAB.replace("model_provider =", 'profile = "p"\n[profiles.p]\nmodel_provider =')
    )
    assert let_in(CODEX, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "model_provider =",
        'model_provider = "openai"\n',
        "model_provider = 7\n",
        LAB + "requires_openai_auth = true\n",
        "\ufeff" + "[" * 60_000,
        LAB + "x" + ".x" * 30_000 + " = 1",
        LAB + "#" * LARGEST,
    ],
    ids=range(8),
)
def test_other_settings_of_codex_leave_it_to_a_login(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.toml").write_text(text)
    assert let_in(CODEX, tmp_path) is None
    put(tmp_path, '{"OPENAI_API_KEY": "fake"}', CODEX)
    assert let_in(CODEX, tmp_path) == LOGIN


def test_a_name_that_an_agent_chose_is_shown_only_where_it_is_one(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('model_provider = "\\u001b[31m come here"\n')
    assert let_in(CODEX, tmp_path) == "the provider of an odd name of its config.toml"


def test_settings_behind_a_link_or_a_pipe_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text('{"apiKeyHelper": "x"}')
    (tmp_path / "settings.json").symlink_to("real.json")
    os.mkfifo(tmp_path / "config.toml")
    assert let_in(CLAUDE, tmp_path) is None
    assert let_in(CODEX, tmp_path) is None


_token = (
    documents() | texts | st.sampled_from(["fake", "a.b.c", "e30.e30.x", "e30.eyJleHAiOiAxZTk5OX0.x", "..", "é.é.é"])
)
_login = st.fixed_dictionaries(
    {},
    optional={
        "claudeAiOauth": st.fixed_dictionaries(
            {"accessToken": _token, "expiresAt": documents(), "refreshToken": _token}
        )
        | documents(),
        "tokens": st.fixed_dictionaries({"access_token": _token, "refresh_token": _token}) | documents(),
        "OPENAI_API_KEY": _token,
    },
)


@thorough
@tried_with(_login | documents(), st.binary(max_size=20), st.sampled_from([CLAUDE, CODEX]))
def test_whatever_an_agent_has_written_into_its_login_is_one_or_none(
    login: object, more: bytes, kind: Credentials
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        put(Path(folder), json.dumps(login), kind)
        (Path(folder) / kind.settings).write_bytes(more)
        found = look(kind, folder)
        assert isinstance(found.login, bool)
        assert isinstance(found.own, Own)
        assert means(kind, found, frozenset()) in (LOGIN if found.login else None, None) or found.own != Own()
        # Whatever follows it, a document that is torn is none.
        with (Path(folder) / kind.file).open("ab") as file:
            file.write(b"{")
        assert not has_login(kind, folder)


@thorough
@tried_with(
    st.dictionaries(st.sampled_from([*CLAUDE.keys, *CLAUDE.switches, "PATH"]), texts | st.just("1"), max_size=4)
)
def test_a_variable_gives_something_unless_it_is_blank_or_a_switch_that_says_no(environment: dict[str, str]) -> None:
    found = given(environment)
    for name, value in environment.items():
        yes = value.strip() == "1" if name in CLAUDE.switches else bool(value.strip())
        assert (name in found) == yes
    # What goes before a login is named, and a login would be of no use then.
    by = means(CLAUDE, look(CLAUDE, "/nonexistent"), found)
    assert (by is not None) == bool(found - {"PATH"})
    assert (why_no_login(CLAUDE, look(CLAUDE, "/nonexistent"), found) is not None) == bool(found - {"PATH"})
