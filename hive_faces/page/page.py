"""`hive page`: the status page, served on this machine's loopback to whoever has the link that `hive open` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from hive_core import service_manager
from hive_core.arguments import whole, words
from hive_core.beside import Beside
from hive_core.context import Hive
from hive_core.errors import Invalid, Refused
from hive_core.operation import OPERATOR, operation
from hive_core.signals import readable
from hive_faces.page.kept import KeptPage, kept
from hive_faces.page.serving import serving
from hive_fleet.home.status_page import renew

DOING = "serving the status page"
Port = Annotated[int, whole(1, 65535, "a port", "PORT")]
SocketPath = Annotated[str, words(4096, "a path", "PATH")]


@operation(callers=OPERATOR, group="Running", shell_only=True, endures=True)
def page(
    hive: Hive,
    socket: SocketPath | None = None,
    port: Port | None = None,
    read_only: bool = False,
    new_key: bool = False,
) -> None:
    """Serve the status page until Ctrl-C; `hive up` does so beside its other work.

    socket: the operator's socket that it shows, also one forwarded from another machine; by default this hive's
    port: where it listens, on 127.0.0.1 alone; by default what the settings say, 7000
    read_only: a page that only looks, whoever opens it
    new_key: serve nothing, but have the page that is served opened by new links alone; open tabs are locked out
    """
    if new_key:
        if read_only or socket is not None or port is not None:
            raise Invalid("`--new-key` is about the page that is served already; it goes with nothing else.")
        renew(hive)
        hive.say("no link to the status page from before opens it any more; `hive open` prints the new one")
        return
    if hive.running("page"):
        raise Refused("The status page is served already.", "`hive open` prints its link.")
    path = Path(socket).absolute() if socket is not None else hive.settings.run / "host.sock"
    if port is None and service_manager.is_listening():
        # Nobody reads what this ends with.
        with kept(KeptPage(hive, path, doing=DOING, read_only=read_only, ready=True)) as served:
            _await_end(served)
        return
    with hive.lone("page", DOING), serving(hive, path, port, read_only=read_only, ready=True) as served:
        _await_end(served)


def _await_end(served: Beside) -> None:
    while not readable([served.fileno()]):
        continue
    served.check()
