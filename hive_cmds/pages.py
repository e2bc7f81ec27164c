"""The agents' own pages: the link with its key for the operator, and what they tell in the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from hive_core.arguments import AgentName, whole
from hive_core.context import Hive
from hive_core.operation import OPERATOR, operation
from hive_fleet.agents.page import reach_page
from hive_fleet.agents.page_stream import Told, stream
from hive_fleet.home import status_page

Last = Annotated[int, whole(0, 500, "the number of events", "N")]


@dataclass(frozen=True, slots=True)
class PageLink:
    """The way to a page, an agent's or the fleet's.

    url: the key stands behind its '#', from where no browser sends it to a server.
    """

    name: str
    url: str

    def text(self) -> str:
        return self.url


@operation(callers=OPERATOR, group="Agents")
def open_(hive: Hive, name: AgentName | None = None, read_only: bool = False) -> PageLink:
    """Print the link to the status page, or to an agent's own, with the key of its present start.

    name: whose page; without one it is the status page
    read_only: the link to a status page that only looks
    """
    if name is None:
        return PageLink("hive", status_page.link(hive, "read" if read_only else "all"))
    page = reach_page(hive, name)
    return PageLink(name, page.link)


@operation(callers=OPERATOR, group="Seeing", reads=True, tool=False)
def attach(hive: Hive, name: AgentName, last: Last = 20) -> Iterator[Told]:
    """Show an agent's turns live, until it ends or Ctrl-C.

    name: whose turns
    last: begin with so many of the newest events
    """
    return _until_it_ends(hive, name, stream(name, reach_page(hive, name), last))


def _until_it_ends(hive: Hive, name: str, told: Iterator[Told]) -> Iterator[Told]:
    yield from told
    hive.say(f"{name}'s turns have ended with it, or with its harness: `hive list` shows how it is")
