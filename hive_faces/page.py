"""`hive page`: the status page, served on this machine's loopback to whoever has the link that `hive open` prints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from hive_agent import LOOPBACK
from hive_core import service_manager
from hive_core.arguments import whole, words
from hive_core.beside import Beside, beside
from hive_core.context import BY_UP, Hive
from hive_core.errors import HiveError, Invalid, Refused
from hive_core.operation import OPERATOR, operation
from hive_core.signals import readable
from hive_fleet.home.status_page import Keys, forget, keys_of, names_of, new_keys, remember, renew

if TYPE_CHECKING:
    from status_page.serving import Serving

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
    with (
        hive.lone("page", "serving the status page"),
        serving(hive, path, port, read_only=read_only, ready=True) as served,
    ):
        while not readable([served.fileno()]):
            continue
        served.check()


@contextmanager
def page_beside(hive: Hive) -> Iterator[None]:
    """Serve the page for as long as the block runs, unless the settings say no; one that cannot be served is told."""
    with ExitStack() as stack:
        alone = stack.enter_context(ExitStack())

        def given_up(error: Exception) -> None:
            # Another may serve one now, on the port that it is told to name.
            alone.close()
            _warn(hive, error)

        if hive.settings.choices_or_defaults.values["page.serve"] == "on":
            try:
                alone.enter_context(hive.lone("page", BY_UP))
            except HiveError as error:
                _warn(hive, error)
            else:
                stack.enter_context(serving(hive, hive.settings.run / "host.sock", failed=given_up))
        yield


def _warn(hive: Hive, error: Exception) -> None:
    hive.say(f"warning: there is no status page. {error}")


@contextmanager
def serving(
    hive: Hive,
    path: Path,
    port: int | None = None,
    *,
    read_only: bool = False,
    failed: Callable[[Exception], None] | None = None,
    ready: bool = False,
) -> Iterator[Beside]:
    """Serve the page of the operator's socket at `path` in threads, for as long as the block runs.

    failed: told of what the page ends with before its time; without it, who has it checks it. ready: whether there is
    nothing else that a service manager waits for.
    """
    from hive_agent.page.door import Door
    from status_page.serving import Serving

    values = hive.settings.choices_or_defaults.values
    chosen = port if port is not None else int(values["ports.page"])
    names = names_of(chosen, values["page.host"], values["page.origin"])

    def begun() -> None:
        remember(hive, names.url, new_keys(read_only=read_only))
        hive.say("the status page is served; `hive open` prints the link to it")
        if ready:
            service_manager.notify("READY=1")

    door = Door(Keys(keys_of(hive)), chosen, names.hosts, "hive open", names.origins)
    served = Serving(path, (LOOPBACK, chosen), door, begun, lambda text: hive.say(f"the status page's {text}"))

    def work() -> None:
        try:
            _serve(served, chosen)
        except Exception as error:
            if failed is None:
                raise
            gone.close()
            failed(error)

    with ExitStack() as gone:
        # At once when it has failed: what is remembered later is somebody else's.
        gone.callback(forget, hive)
        with beside("page", work, served.end) as working:
            yield working


def _serve(served: Serving, port: int) -> None:
    """Serve it until its end. Raises Refused when the port cannot be had."""
    try:
        served.run()
    except OSError as error:
        raise Refused(
            f"The status page cannot listen on port {port}: {error.strerror}.",
            "`hive page --port PORT` takes another, `ports.page` in hive.toml for good.",
        ) from error
