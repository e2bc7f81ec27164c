"""One harness with a real CLI, its service and a gate for many tests: such a CLI takes half a second to start."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tests.agent.clis import Cli
from tests.agent.conftest import Place, a_place
from tests.stand_ins.gate import Message
from tests.stand_ins.scripted import Answer, Asked, Text


class Talk:
    """A conversation that goes on from test to test: each says something new, and looks at what came since.

    script: what the service answers. never: for answers that are not to end; it is set at the test's end.
    """

    def __init__(self, place: Place, cli: Cli) -> None:
        self.place, self.cli, self.gate = place, cli, place.gate
        self.api = cli.api(self._answer)

    def _answer(self, asked: Asked) -> Answer:
        return self.script(asked)

    def begin(self) -> None:
        """A test begins; what another has stopped is started."""
        if self.place.process is not None and not self.running:
            self.place.start()
        self.script: Callable[[Asked], Answer] = lambda asked: Text("ok")
        self.never = threading.Event()
        self._asked, self._sent, self._told = len(self.api.asked), len(self.gate.sent), len(self.gate.statuses)
        self._turns = len(self.place.rows("select id from turns"))

    def end(self) -> None:
        """A test has ended; what it has left unfinished is forgotten."""
        self.never.set()
        if self._unfinished() and self.running:
            self.place.stop()
        for message in self._unfinished():
            message.state = "acknowledged"

    @property
    def running(self) -> bool:
        return self.place.process is not None and self.place.process.poll() is None

    def _unfinished(self) -> list[Message]:
        return [message for message in self.gate.inbox if message.state != "acknowledged"]

    # What was said since the test began.

    @property
    def asked(self) -> list[Asked]:
        return self.api.asked[self._asked :]

    @property
    def sent(self) -> list[tuple[str, str]]:
        return self.gate.sent[self._sent :]

    @property
    def states(self) -> list[str]:
        return [status["state"] for status in self.gate.statuses[self._told :]]

    def wait_state(self, state: str, text: str = "") -> dict[str, Any]:
        return self.gate.wait_state(state, after=self._told, text=text)

    def wait_asked(self, count: int) -> None:
        self.api.wait_asked(self._asked + count)

    def turns(self, column: str) -> list[object]:
        """What the record says of each turn."""
        return [value for (value,) in self.place.rows(f"select {column} from turns order by id")[self._turns :]]

    def events(self) -> list[object]:
        """The kinds of what happened in the turns."""
        rows = self.place.rows("select kind, turn from turn_events order by seq")
        return [kind for kind, turn in rows if int(str(turn)) > self._turns]

    # What is done in a test.

    def say(self, body: str) -> Message:
        """Say something, and go on."""
        return self.gate.put("operator", body)

    def ask(self, body: str) -> Message:
        """Say something, and wait until it is done with."""
        message = self.say(body)
        self.done()
        return message

    def done(self) -> None:
        """Wait until all that was said is done with."""
        self.gate.wait(lambda gate: not self._unfinished(), "acknowledged")


@contextmanager
def talking(cli: Cli, **configuration: object) -> Iterator[Talk]:
    """A harness with this CLI, and nothing said yet. Whatever else it asks of anybody goes by its service, too."""
    with a_place() as place:
        talk = Talk(cli.settle(place), cli)
        place.configure(runner=cli.name, **configuration)
        proxy = {"HTTPS_PROXY": talk.api.url, "HTTP_PROXY": talk.api.url, "NO_PROXY": "127.0.0.1"}
        with place.served_by(talk.api, **proxy, **{cli.url: talk.api.base_url}):
            place.gate.wait_state("idle")
            yield talk
