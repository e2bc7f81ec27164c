"""Giving a message to a service: by apprise, or by running a command. What is secret of it is in no error."""

from __future__ import annotations

import logging
import re
import shutil
import threading
import urllib.parse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hive_core import wire
from hive_core.errors import HiveError, ProgramFailed, Refused
from hive_core.process import run
from hive_fleet.notifications.rules import Service
from hive_fleet.notifications.wording import Wording

# Seconds that a command may take.
PATIENCE = 30.0
_LONGEST = 300


def deliver(service: Service, message: Wording) -> None:
    """Give it to a service. Raises HiveError with the reason when it was not taken."""
    if isinstance(service.address, str):
        _by_apprise(service.address, message)
    else:
        _by_command([*service.address], message)


def _by_command(argv: list[str], message: Wording) -> None:
    if shutil.which(argv[0]) is None:
        raise Refused(f"{argv[0]} is not there, or is not executable.")
    try:
        done = run(argv, timeout=PATIENCE, check=False, text=wire.line({**message.data, "body": message.body}))
    except ProgramFailed:
        # What that says names all words of the command.
        raise Refused(f"{argv[0]} took longer than {PATIENCE:g} seconds, or could not be run.") from None
    if done.code:
        raise Refused(f"{argv[0]} ended with {done.code}.")


def _by_apprise(url: str, message: Wording) -> None:
    import apprise

    asset = apprise.AppriseAsset(
        app_id="hive",
        app_desc="hive",
        app_url="",
        async_mode=False,
        secure_logging=True,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        plugin_paths=[],
    )
    kind = apprise.NotifyType.WARNING if message.grave else apprise.NotifyType.INFO
    with _heard() as said:
        try:
            service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
            if service is None:
                raise Refused(f"apprise cannot use this {url.partition('://')[0]}:// URL: {_reason(said, url)}")
            kind_of_text, body = _as_text(service, message.body)
            sent = service.notify(title=message.title, body=body, notify_type=kind, body_format=kind_of_text)
        except HiveError:
            raise
        except Exception as error:  # noqa: BLE001 - one of a hundred plugins, each with a library of its own
            raise Refused(redacted(f"{type(error).__name__}: {error}", url)) from None
        if not sent:
            raise Refused(_reason(said, url))


def _as_text(service: Any, body: str) -> tuple[Any, str]:
    """A body for a service, and what it is to be read as: agents' words may be in it, and mean nothing but themselves.

    Many a service reads what it is given as HTML or as Markdown.
    """
    from apprise import NotifyFormat
    from apprise.conversion import convert_between

    kind = service.resolve_format(NotifyFormat.TEXT)
    return kind, convert_between(NotifyFormat.TEXT, kind, body)  # type: ignore[no-untyped-call]


def redacted(text: str, url: str) -> str:
    """A text without any part of a URL but its scheme: in one service the name is the key, in another the host."""
    rest = url.partition("://")[2]
    parts = {part for form in (rest, urllib.parse.unquote(rest)) for part in re.split(r"[/:@?&=#,;]+", form)}
    for part in sorted(parts | {rest}, key=len, reverse=True):
        if len(part) > 2:
            text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
    return " ".join(text.split())[:_LONGEST]


def _reason(said: Sequence[str], url: str) -> str:
    return redacted("; ".join(said), url) or "it was not taken, and nothing was said of it"


class _Listener(logging.Handler):
    """Keeps what one thread is warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.said.append(record.getMessage())


@contextmanager
def _heard() -> Iterator[list[str]]:
    """What apprise says in this thread meanwhile: it returns no reasons. Nothing of it is printed."""
    logger, listener = logging.getLogger("apprise"), _Listener()
    logger.propagate = False
    logger.addHandler(listener)
    try:
        yield listener.said
    finally:
        logger.removeHandler(listener)
