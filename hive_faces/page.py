"""`hive page`: the status page, served on this machine's loopback to whoever has the link that `hive open` prints."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hive_agent import LOOPBACK
from hive_core.arguments import whole, words
from hive_core.context import Hive
from hive_core.errors import HiveError, Refused
from hive_core.operation import OPERATOR, operation
from hive_core.signals import readable
from hive_fleet.home.status_page import forget, link_of, remember

if TYPE_CHECKING:
    from status_page.serving import Serving

Port = Annotated[int, whole(1, 65535, "a port", "PORT")]
SocketPath = Annotated[str, words(4096, "a path", "PATH")]


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def page(hive: Hive, socket: SocketPath | None = None, port: Port | None = None) -> None:
    """Serve the status page until Ctrl-C; `hive up` does so beside its other work.

    socket: the operator's socket that it shows, also one forwarded from another machine; by default this hive's
    port: where it listens, on 127.0.0.1 alone; by default what the settings say, 7000
    """
    path = Path(socket).absolute() if socket is not None else hive.settings.run / "host.sock"
    with hive.lone("page", "serving the status page"), serving(hive, path, port) as (served, link):
        hive.say(f"the status page is at {link}")
        while not readable([served.fileno()]):
            continue
        served.check()


@contextmanager
def serving(hive: Hive, path: Path, port: int | None = None) -> Iterator[tuple[Serving, str]]:
    """Serve the page in threads for as long as the block runs, which is given its link.

    path: the operator's socket. Raises Refused when the port cannot be had.
    """
    from status_page.serving import Serving

    chosen = port if port is not None else int(hive.settings.choices_or_defaults.values["ports.page"])
    keys = {secrets.token_urlsafe(24): "all", secrets.token_urlsafe(24): "read"}
    try:
        served = Serving(path, (LOOPBACK, chosen), keys)
    except OSError as error:
        raise Refused(
            f"The status page cannot listen on port {chosen}: {error.strerror}.",
            "`hive page --port PORT` takes another, `ports.page` in hive.toml for good.",
        ) from error
    try:
        remember(hive, chosen, keys)
        yield served, link_of(chosen, next(iter(keys)))
    finally:
        served.close()
        forget(hive)


@contextmanager
def page_beside(hive: Hive) -> Iterator[None]:
    """Serve the page for as long as the block runs, unless the settings say no; one that cannot be served is told."""
    with ExitStack() as stack:
        if hive.settings.choices_or_defaults.values["page"] == "on":
            try:
                stack.enter_context(hive.lone("page", "hive up"))
                stack.enter_context(serving(hive, hive.settings.run / "host.sock"))
            except HiveError as error:
                hive.say(f"warning: there is no status page. {error}")
        yield
