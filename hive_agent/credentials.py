"""What an agent's CLI is let in by: a login, or something in its place. hive asks too, and trusts no agent's file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Set
from pathlib import Path
from typing import Any, NamedTuple

from hive_agent import untrusted_files
from hive_agent.clis import CLIS, Credentials, Place, Token
from hive_agent.own_settings import Own

# A login with the tokens of many MCP servers has some tens of KiB. To parse more is work that an agent could ask for.
LARGEST = 128 * 1024
LOGIN = "its login"
_YES = ("1", "true", "yes", "on")
_SWITCHES = frozenset(switch for cli in CLIS.values() for switch in cli.credentials.switches)


class Found(NamedTuple):
    """What lies in a login folder. login: a token that is not empty, and good still or to be renewed."""

    login: bool
    own: Own


def look(kind: Credentials, folder: str | Path) -> Found:
    """Look into a login folder: regular files of at most 128 KiB. Follows no link, opens no pipe, raises nothing."""
    return Found(has_login(kind, folder), _own(kind, folder))


def has_login(kind: Credentials, folder: str | Path) -> bool:
    """Whether there is a login, whatever is used in its place."""
    held = _parsed(_read(folder, kind.file), json.loads)
    return any(_good(held, token) for token in kind.tokens)


def given(environment: Mapping[str, str]) -> frozenset[str]:
    """The variables that give something: no blank ones, and no switch that does not say yes. Never the values."""
    return frozenset(
        name
        for name, value in environment.items()
        if value.strip() and (name not in _SWITCHES or value.strip().lower() in _YES)
    )


def means(kind: Credentials, found: Found, names: Set[str]) -> str | None:
    """What the CLI is let in by, in words; LOGIN for a login, None when there is nothing.

    names: the variables that its environment gives, see `given`.
    """
    own = found.own
    if own.provider:
        return _provider(own) if not own.key or own.key in names | _own_names(own) else None
    return _instead(kind, own, names) or (LOGIN if found.login else None)


def why_no_login(kind: Credentials, found: Found, names: Set[str]) -> str | None:
    """Why a login would be of no use: what goes before it, and what to do; None where one would be used."""
    own = found.own
    if own.provider:
        lacks = own.key and own.key not in names | _own_names(own)
        say = f"which lacks {own.key}: set that in its agent.toml" if lacks else "which knows no login"
        return f"{_provider(own)} is used, {say}"
    instead = _instead(kind, own, names)
    return f"{instead} is set for it and goes before a login" if instead else None


def fingerprint(folder: str | Path, *files: str) -> tuple[tuple[int, ...] | None, ...]:
    """What changes whenever one of these files of a login folder is written or replaced."""
    return tuple(_mark(f"{folder}/{file}") for file in files if file)


def _mark(path: str) -> tuple[int, ...] | None:
    try:
        found = os.lstat(path)
    except OSError:
        return None
    # The time of the last change of anything about it can be set by nobody.
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _provider(own: Own) -> str:
    return f"the provider {own.provider} of its config.toml"


def _instead(kind: Credentials, own: Own, names: Set[str]) -> str | None:
    """What is used before a login, in the CLI's own order as far as it matters to a person."""
    every = names | _own_names(own)
    found = next((name for name in (*kind.switches, *kind.keys) if name in every), None)
    return found or (f"{own.helper} of its {kind.settings}" if own.helper else None)


def _own_names(own: Own) -> frozenset[str]:
    return given(dict(own.environment))


def _own(kind: Credentials, folder: str | Path) -> Own:
    data = _read(folder, kind.settings) if kind.settings else None
    if data is None:
        return Own()
    if kind.settings.endswith(".toml"):
        # Not before there is one: to import a parser takes longer than most looks.
        from hive_agent import bounded_toml

        table = _parsed(data, bounded_toml.loads)
    else:
        table = _parsed(data, json.loads)
    return kind.own(table) if isinstance(table, dict) else Own()


def _parsed(data: bytes | None, loads: Any) -> Any:
    if data is None:
        return None
    try:
        return loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        # Half-written or made up: it says nothing, whichever it is.
        return None


def _good(held: Any, token: Token) -> bool:
    """Whether this token is there, and can be used: it has not expired, or there is one to renew it by."""
    text = _at(held, token.place)
    if not _is_text(text):
        return False
    expires = _at(held, token.expires) if token.expires else _jwt_expires(text)
    if isinstance(expires, bool) or not isinstance(expires, int | float):
        return True
    return expires > time.time() * 1000 or _is_text(_at(held, token.refresh))


def _jwt_expires(text: str) -> Any:
    """Until when a JSON Web Token (RFC 7519) is good, in unix milliseconds; None for any other text."""
    import base64

    parts = text.strip().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    expires = _at(claims, ("exp",))
    return expires * 1000 if isinstance(expires, int | float) else None


def _at(value: Any, place: Place) -> Any:
    for key in place:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _read(folder: str | Path, name: str) -> bytes | None:
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            return untrusted_files.read(name, LARGEST, folder=held)
        finally:
            os.close(held)
    except OSError:
        return None
