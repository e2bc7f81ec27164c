"""The program's own login, carried between it and a human at the agent's page: its link out, the code in.

There is no other way to it than the page, whose key no agent has. What the program writes is taken as something that an
agent may have put there: only a link of the program's service is shown, the first one alone, and it is the credentials
that say whether the login came about.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hive_agent import credentials
from hive_agent.clis import CLIS, LoginProgram
from hive_agent.errors import AgentError
from hive_agent.live import Live
from hive_agent.runners.child import Child, find_cli
from hive_agent.settings import HarnessSettings
from hive_agent.waits import Poke

DEADLINE_SECONDS = 600.0
LONGEST_LINK = 4096
_LONGEST_LINE, _MOST_LINES = 300, 4
_LINK = re.compile(r"https://[^\s\"'<>\\^`{|}]+", re.ASCII)
# Escape sequences (ECMA-48), then every other control character.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
# A browser opened in the container is none that the human sees.
_BROWSERS = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")


class Login:
    """The logins of one agent, one at a time. For any thread. live: where `login` is told, None when there is none.

    Told are state (starting, link, checking, done, failed), link, said (what the program wrote last) and takes_code.
    """

    def __init__(self, settings: HarnessSettings, live: Live) -> None:
        self._settings = settings
        self._live = live
        self._poke = Poke()
        self._doors = threading.Lock()
        self._running = False
        self._cancelled = False
        self._code: str | None = None

    def start(self) -> None:
        """Begin a login. Raises AgentError when the agent needs none, or one is in progress."""
        program, argv = self._program()
        if self._live.snapshot()["state"] != "needs_login":
            raise AgentError("This agent is logged in.")
        with self._doors:
            if self._running:
                raise AgentError("A login is in progress already.", "Finish it, or cancel it first.")
            self._running, self._cancelled, self._code = True, False, None
            self._poke.clear()
            self._live.update(login=_told("starting", program))
        # The program dies with the thread that started it (prctl(2), PR_SET_PDEATHSIG), so it has one of its own.
        threading.Thread(target=self._run, args=(program, argv), name="login", daemon=True).start()

    def give(self, code: str) -> None:
        """Hand the program the code that a human brought. Raises AgentError when it waits for none."""
        code = "".join(code.split())
        if not re.fullmatch(r"[!-~]+", code):
            raise AgentError("That is no code: it has characters that no code has.")
        now = self._live.snapshot().get("login") or {}
        with self._doors:
            if not self._running or now.get("state") != "link" or not now.get("takes_code"):
                raise AgentError("No login waits for a code.", "Begin one with the button.")
            self._code = code
        self._poke.set()

    def cancel(self) -> None:
        """End the login in progress, if there is one, and forget how the last one ended."""
        with self._doors:
            self._cancelled = True
            if not self._running:
                self._live.update(login=None)
        self._poke.set()

    def settle(self) -> None:
        """The agent is logged in, by whatever way: a login that has not been given its code is of no use any more."""
        now = self._live.snapshot().get("login") or {}
        if now.get("state") in ("starting", "link"):
            self.cancel()

    def _program(self) -> tuple[LoginProgram, list[str]]:
        runner, environment = self._settings.configuration.runner, self._settings.environment
        cli = CLIS.get(runner)
        if cli is None:
            raise AgentError(f"The runner `{runner}` needs no login.")
        if why := self._settings.why_no_login():
            raise AgentError(f"A login would not help this agent: {why}.", "Change that in its configuration.")
        return cli.login, [find_cli(cli.name, environment), *cli.login.arguments]

    def _run(self, program: LoginProgram, argv: list[str]) -> None:
        # What is told should this thread die of a bug, which then stands in the journal.
        told: dict[str, Any] | None = _told("failed", program, said="The login broke off.")
        try:
            told = Attempt(program, argv, self._settings, self._live).follow(self._poke, self._take)
        except AgentError as error:
            told = _told("failed", program, said=error.message)
        finally:
            with self._doors:
                self._running = False
                self._live.update(login=told)

    def _take(self) -> tuple[bool, str | None]:
        """What was asked for since: whether to cancel, and a code to hand on."""
        with self._doors:
            code, self._code = self._code, None
            return self._cancelled, code


class Attempt:
    """One run of the program's login. seconds: how long it may take a human."""

    def __init__(
        self,
        program: LoginProgram,
        argv: list[str],
        settings: HarnessSettings,
        live: Live,
        seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._program = program
        self._argv = argv
        self._settings = settings
        self._live = live
        self._seconds = seconds
        self._state = "starting"
        self._link: str | None = None
        self._said: deque[str] = deque(maxlen=_MOST_LINES)
        self._kind, self._folder = settings.login
        self._before = credentials.fingerprint(self._folder, self._kind.file)

    def follow(self, poke: Poke, take: Callable[[], tuple[bool, str | None]]) -> dict[str, Any] | None:
        """Run it to its end; what is to be told then, None when it was cancelled. Raises AgentError.

        take: asked at each poke, whether to cancel, and for a code to hand on.
        """
        environment = {name: value for name, value in self._settings.environment.items() if name not in _BROWSERS}
        child = Child(self._argv, environment, self._settings.state, poke)
        child.remind(self._seconds)
        try:
            for name, data in child.lines():
                if name == "late":
                    return self._end(f"Nobody finished it within {self._seconds / 60:.0f} minutes.")
                if name != "poke":
                    self._read(data)
                    continue
                cancelled, code = take()
                if cancelled:
                    return None
                if code is not None:
                    self._said.clear()
                    child.write(f"{code}\n".encode())
                    self._tell("checking")
            return self._end(None, child.end())
        finally:
            child.end()

    def _read(self, data: bytes) -> None:
        """Take in a line. Raises AgentError for a link that leads elsewhere."""
        text = _plain(data.decode("utf-8", "replace")).removeprefix(self._program.prompt).strip()
        found = _LINK.search(text)
        if self._link is None and found is not None:
            self._link = trusted(found.group(), self._program.hosts)
            self._said.clear()
            self._tell("link")
        elif text:
            self._said.append(text[:_LONGEST_LINE])
            again = bool(self._program.again) and text.startswith(self._program.again)
            self._tell("link" if again and self._link else self._state)

    def _tell(self, state: str) -> None:
        self._state = state
        self._live.update(login=_told(state, self._program, link=self._link, said="\n".join(self._said)))

    def _end(self, why: str | None, code: int = 0) -> dict[str, Any]:
        changed = credentials.fingerprint(self._folder, self._kind.file) != self._before
        if why is None and code == 0 and changed and credentials.has_login(self._kind, self._folder):
            return _told("done", self._program)
        said = "\n".join(self._said)
        if why is None and code == 0:
            why = f"It ended without usable credentials.\n{said}".strip()
        return _told("failed", self._program, said=why or said or f"It ended with code {code}.")


def trusted(link: str, hosts: tuple[str, ...]) -> str:
    """The link, if it leads to one of these hosts over https, and so does the redirection it asks for.

    Raises AgentError for any other: a human who follows it would log somebody else in.
    """
    try:
        places = [link, *parse_qs(urlsplit(link).query).get("redirect_uri", [])]
        elsewhere = [place for place in places if not place.startswith(tuple(f"https://{host}/" for host in hosts))]
    except ValueError:
        elsewhere = [link]
    if elsewhere or len(link) > LONGEST_LINK:
        shown = _plain((elsewhere or [link])[0])[:100]
        raise AgentError(f"The program showed a link that is none of its service's, and was ended: {shown}")
    return link


def _told(state: str, program: LoginProgram, *, link: str | None = None, said: str = "") -> dict[str, Any]:
    return {"state": state, "link": link, "said": said, "takes_code": program.takes_code}


def _plain(text: str) -> str:
    return _CONTROLS.sub("", _ESCAPES.sub("", text))
