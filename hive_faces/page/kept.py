"""The status page beside other work: served whenever its port can be had, and a need of the operator until then."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from queue import Empty, SimpleQueue

from hive_agent.back_off import BackOff
from hive_core import service_manager
from hive_core.beside import Beside, beside
from hive_core.context import BY_UP, Hive
from hive_core.errors import Refused
from hive_core.loopback import in_use
from hive_core.trouble import FIRST, LONGEST, TROUBLES, Trouble
from hive_faces.page.serving import serving
from hive_fleet.home import ports
from hive_fleet.home.status_page import LACKING
from hive_fleet.watching import attention


@contextmanager
def page_beside(hive: Hive) -> Iterator[None]:
    """Keep the page served for as long as the block runs, unless the settings say no."""
    with ExitStack() as stack:
        if hive.settings.choices_or_defaults.values["page.serve"] == "on":
            stack.enter_context(kept(KeptPage(hive, hive.settings.run / "host.sock")))
        yield


def kept(page: KeptPage) -> AbstractContextManager[Beside]:
    """Keep it served, in a thread, for as long as the block runs."""
    return beside("kept page", page.run, page.end)


class KeptPage:
    """The page of the settings' port. While that is another's it is tried again, and the operator is told so.

    doing: what this process is, for who wants to serve the page itself. The more is as `serving` has it.
    """

    def __init__(
        self, hive: Hive, path: Path, *, doing: str = BY_UP, read_only: bool = False, ready: bool = False
    ) -> None:
        self._hive, self._doing, self._ready = hive, doing, ready
        self._serving = partial(serving, hive, path, read_only=read_only, failed=self._tell, ready=ready)
        self._trouble = Trouble(hive.say, "what needs you of the status page")
        # What the page has failed with, and None when it is to end.
        self._told: SimpleQueue[Exception | None] = SimpleQueue()

    def end(self) -> None:
        """End it. From another thread."""
        self._told.put(None)

    def _tell(self, error: Exception) -> None:
        self._told.put(error)

    def run(self) -> None:
        """Serve it until `end`. Raises what is nobody's trouble, but a bug."""
        try:
            while (error := self._serve()) is not None:
                self._hive.say(f"warning: there is no status page. {error}")
                if not isinstance(error, TROUBLES):
                    raise error
                if not self._wait_for_the_port():
                    return
        finally:
            self._hive.store.close()

    def _serve(self) -> Exception | None:
        """Serve it until its end; what it has failed with, None when it was to end."""
        try:
            with self._hive.lone("page", self._doing), self._serving():
                return self._told.get()
        except Refused as another_serves_it:
            return another_serves_it

    def _wait_for_the_port(self) -> bool:
        """Wait until nobody serves the page, nor has its port; False when it is to end."""
        with ExitStack() as lacking:
            had = self._wait(lacking)
        self._attend()
        return had

    def _wait(self, lacking: ExitStack) -> bool:
        port, pauses = ports.chosen(self._hive).page, BackOff(FIRST, LONGEST)
        while True:
            if self._hive.running("page") is not None:
                lacking.close()
                self._attend()
            elif not in_use(port):
                return True
            else:
                self._lack(lacking)
            if self._is_ended_within(pauses.failed()):
                return False

    def _is_ended_within(self, seconds: float) -> bool:
        try:
            return self._told.get(timeout=seconds) is None
        except Empty:
            return False

    def _lack(self, lacking: ExitStack) -> None:
        """Let it be known that there is no page, for as long as `lacking` is open."""
        if self._ready:
            # The manager would take it for one that hangs, and kill it. It is started again with the port.
            service_manager.notify("READY=1", "STATUS=The port of the status page is another program's")
        with suppress(Refused):  # Whoever holds it, it is known.
            lacking.enter_context(self._hive.lone(LACKING, self._doing))
        self._attend()

    def _attend(self) -> None:
        """Have the list of what needs the operator as it is to be; what keeps it from that is tried at every look."""
        attention.keep_trying(self._hive, self._trouble)
