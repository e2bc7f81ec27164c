"""The status page, served once: in threads beside whoever serves it, until its end or until it cannot be."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hive_agent import LOOPBACK
from hive_core import service_manager
from hive_core.beside import Beside, beside
from hive_core.context import Hive
from hive_core.errors import Refused
from hive_fleet.home.status_page import Keys, forget, keys_of, names_of, new_keys, remember

if TYPE_CHECKING:
    from status_page.serving import Serving


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
