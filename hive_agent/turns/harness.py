"""The turn loop: take a message, run one turn of the runner on it, keep what happens, acknowledge, repeat.

A message is acknowledged only after its turn ended well (or was cancelled, or was given up with a word to someone).
Whatever ends the harness before that, the next one puts the message back first, and it comes again, marked.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

from hive_agent import MANAGER, credentials
from hive_agent.errors import AgentError, GateRefused, Stopped, Unreachable
from hive_agent.live import Live
from hive_agent.runners.base import End, Outcome, Runner, Turn, TurnEvent
from hive_agent.settings import HarnessSettings
from hive_agent.turns.link import Link
from hive_agent.turns.pacing import Pacing
from hive_agent.turns.record import Record
from hive_agent.turns.watching import Watched
from hive_agent.turns.wording import Delivery, wake_prompt
from hive_agent.waits import Waits

FAILURES_AT_MOST = 5
WAIT_SECONDS = 180
# How often something is looked at that nobody tells of: whether the agent is still paused.
LOOK_SECONDS = 1.0
_STATUS_PATIENCE = 2.0
# The same for the last word of all. Whoever stops an agent waits for it, and mostly nobody serves the gate then.
_PARTING_PATIENCE = 0.2
_LOG_IN = "the operator has to log this agent in"


@dataclass(frozen=True, slots=True)
class Held:
    """Why no turn is tried. files: what the CLI was let in by, as it was then. again: when it is tried as it is, by the
    monotonic clock. status: what is said of it meanwhile.
    """

    files: Hashable
    again: float
    status: dict[str, Any]


class Harness:
    """One agent's turn loop. waits: all of its waits, which `stop` ends. live: what the page is told.

    logged_in: called when a login that was waited for has come.
    """

    def __init__(
        self,
        settings: HarnessSettings,
        link: Link,
        record: Record,
        runner: Runner,
        waits: Waits,
        live: Live,
        logged_in: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._link = link
        self._record = record
        self._runner = runner
        self._waits = waits
        self._live = live
        self._tell_logged_in = logged_in
        self._in_turn = self._nudged = False
        self._together = {"together": True}
        self._pacing = Pacing(settings.retry)
        self._held: Held | None = None

    def stop(self) -> None:
        """End soon, with the message in hand put back. Safe in a signal handler and in any thread."""
        self._waits.stop()
        self._runner.cancel()

    def cancel(self) -> bool:
        """End the turn in progress; its message is done with. False when there is none. As safe as `stop`."""
        if not self._in_turn:
            return False
        self._runner.cancel()
        return True

    def nudge(self) -> bool:
        """End the turn in progress, which makes no progress; its message is taken again. False when there is none."""
        self._nudged = True
        return self.cancel()

    def run(self) -> None:
        """Run turns until `stop`."""
        try:
            self._await_runner()
            self._link.call("nack")
            self._record.bury()
            while True:
                self._once()
        except Stopped:
            return
        finally:
            self._runner.close()
            self._put_back()

    def _once(self) -> None:
        self._await_login()
        self._await_unpaused()
        self._say("idle")
        taken = self._take()
        if taken is None:
            return
        message, unread = taken
        settings = self._link.call("turn_settings")
        reasons = self._record.failures(message.key)
        if settings.get("paused"):
            self._link.call("nack")
        elif len(reasons) >= FAILURES_AT_MOST:
            self._give_up(message, reasons[-1])
        else:
            model = settings.get("model") or self._settings.configuration.model
            self._settle(self._turn(message, unread, model))

    def _take(self) -> tuple[Delivery, int] | None:
        """Take one message, waiting for it; None when none came, or the gate went away meanwhile.

        What the system has told by then is one: what happened at once is one turn.
        """
        try:
            answer = self._link.call("recv", wait=WAIT_SECONDS, limit=1, **self._together)
        except GateRefused:
            if not self._together:
                raise
            # A gate of before this was asked for: one after the other.
            self._together = {}
            return None
        except Unreachable:
            # The answer that got lost may have been a message: it is put back, and marked, which is true enough.
            self._link.call("nack")
            return None
        messages = answer.get("messages") or []
        return (Delivery.from_wire(*messages), int(answer.get("unread", 0))) if messages else None

    # One turn.

    def _turn(self, message: Delivery, unread: int, model: str | None) -> Outcome:
        """Run the turn of a message, compacting once when the conversation is too long, and record it."""
        self._say("thinking", text=f"on a message from {message.sender}", model=model)
        turn = self._record.begin(
            message.key, message.sender, message.body, redelivered=message.redelivered, model=model
        )
        prompt = wake_prompt(message, unread)
        self._nudged = False
        try:
            outcome = self._drive(turn, self._runner.turn(prompt, model))
            if outcome.end is End.PROMPT_TOO_LONG:
                outcome = self._shorten(turn, prompt, model)
        except Stopped:
            self._record.end(turn, "stopped", "the harness was stopped")
            raise
        except AgentError as error:
            # Its process may be in the middle of anything: the next turn begins with a new one.
            self._runner.close()
            outcome = Outcome(End.FAILED, error.message)
        if self._nudged and outcome.end is End.CANCELLED:
            # Counted as a failure: a message on which every turn hangs is given up some day.
            outcome = Outcome(End.FAILED, "it was nudged, as it made no progress")
        if self._waits.stopping and outcome.end is not End.DONE:
            self._record.end(turn, "stopped", outcome.detail)
            self._waits.check()
        self._record.end(turn, outcome.end.value, outcome.detail)
        return outcome

    def _shorten(self, turn: int, prompt: str, model: str | None) -> Outcome:
        """Compact the conversation and try the turn again, once."""
        self._say("compacting", model=model)
        outcome = self._drive(turn, self._runner.compact(model))
        when = "while compacting"
        if outcome.end is End.DONE:
            self._say("thinking", text="again, after compacting", model=model)
            outcome = self._drive(turn, self._runner.turn(prompt, model))
            when = "also after compacting"
        if outcome.end is End.PROMPT_TOO_LONG:
            # A failure is counted, and given up some day; what is too long would come again for ever.
            return Outcome(End.FAILED, f"{outcome.detail} ({when})")
        return outcome

    def _drive(self, turn: int, events: Turn) -> Outcome:
        self._in_turn = True
        try:
            while True:
                event = next(events)
                # A stop that came before the runner began is not lost: see Runner.turn.
                self._waits.check()
                self._record.add(turn, event.kind, event.data)
                self._mirror(event)
        except StopIteration as end:
            outcome: Outcome = end.value
            return outcome
        finally:
            self._in_turn = False
            events.close()

    def _mirror(self, event: TurnEvent) -> None:
        """Let the status follow what happens in a turn."""
        if event.kind == "compacting":
            self._say("compacting")
        elif event.kind == "compacted":
            self._say("thinking")
        elif event.kind == "model" and event.data.get("model"):
            self._say("thinking", model=event.data["model"])

    # What becomes of its message.

    def _settle(self, outcome: Outcome) -> None:
        """Acknowledge or put back, and wait as long as the end of the turn asks for."""
        end = outcome.end
        self._pacing.note(end)
        if end in (End.DONE, End.CANCELLED):
            self._link.call("ack")
            self._held = None
            return
        self._link.call("nack")
        if end in (End.LOGGED_OUT, End.ACCOUNT):
            self._held = self._hold(outcome)
        elif end is End.RATE_LIMITED:
            self._park(self._pacing.limit(outcome.until, time.time()), outcome.detail)
        else:
            seconds = self._pacing.back_off()
            what = "a turn failed" if end is End.FAILED else "a turn could not be run"
            said = f"{what}, next try in {seconds:.0f} s: {_first_line(outcome.detail)}"
            _log(said)
            self._say("idle", text=said)
            self._waits.pause(seconds)

    def _park(self, until: float, why: str) -> None:
        self._say("rate_limited", text=_first_line(why), until=int(until))
        self._waits.pause_until(until)

    def _give_up(self, message: Delivery, why: str) -> None:
        """Let go of a message that fails again and again, after telling someone: first told, then acknowledged."""
        about = (
            f"{self._settings.label} gave up on a message from {message.sender} after {FAILURES_AT_MOST} failed turns. "
            f"The last one: {why.strip()[:2000]}\n\nThe message:\n{message.body[:4000]}"
        )
        readers = ["operator"] if self._settings.label == MANAGER else [MANAGER, "operator"]
        for reader in readers:
            try:
                self._link.call("send", to=reader, body=about)
            except GateRefused as error:
                _log(f"{reader} could not be told: {error.message}")
                continue
            # A human who wrote the message waits for an answer: the manager's knowing is not enough.
            if message.sender != "operator" or reader == "operator":
                break
        _log(about)
        self._link.call("ack")

    # What to wait for before a message is taken.

    def _await_runner(self) -> None:
        """Wait until the runner's program is there. An agent without it is up, and says what it lacks."""
        said = False
        while True:
            try:
                self._runner.start()
            except AgentError as error:
                if not said:
                    self._say("no_program", text=_first_line(error.message))
                    _log(str(error))
                    said = True
                self._waits.pause(LOOK_SECONDS)
            else:
                return

    def _await_unpaused(self) -> None:
        said = False
        while self._link.call("turn_settings").get("paused"):
            if not said:
                self._say("idle", text="paused")
                said = True
            self._waits.pause(LOOK_SECONDS)

    def _await_login(self) -> None:
        """Wait until the CLI has something to be let in by that is not known to be refused."""
        if not self._runner.needs_login:
            return
        status = self._lacking()
        if status is None:
            return
        self._say(**status)
        with Watched(self._settings.login[1]) as watched:
            # The first look comes after the watch began: nothing is missed in between.
            while (now := self._lacking()) is not None:
                if now != status:
                    status = now
                    self._say(**status)
                watched.wait(self._waits)
        self._tell_logged_in()

    def _lacking(self) -> dict[str, Any] | None:
        """What is to be said while no turn can be tried; None when one can."""
        if self._settings.means() is None:
            return _needs_login(self._settings.why_no_login() or _LOG_IN)
        held = self._held
        if held is None or held.files != self._files() or time.monotonic() >= held.again:
            return None
        return held.status

    def _hold(self, outcome: Outcome) -> Held:
        """Try nothing more until what the CLI is let in by has changed, or for a while."""
        seconds, means, said = self._pacing.refused(), self._settings.means(), _first_line(outcome.detail)
        if outcome.end is End.LOGGED_OUT and means in (None, credentials.LOGIN):
            status = _needs_login(_LOG_IN)
        else:
            refused = outcome.end is End.LOGGED_OUT
            text = f"{means} was refused: {said}" if refused else said
            text += f"; `hive restart {self._settings.label}` tries again at once"
            state = "key_refused" if refused else "account_trouble"
            status = {"state": state, "text": text, "until": int(time.time() + seconds)}
            _log(f"{state.replace('_', ' ')}: {text}")
        return Held(self._files(), time.monotonic() + seconds, status)

    def _files(self) -> Hashable:
        kind, folder = self._settings.login
        return credentials.fingerprint(folder, kind.file, kind.settings)

    # What it says of itself.

    def _say(self, state: str, **fields: Any) -> None:
        """Tell the gate how the agent is. A gate that is away does not hold a turn up: the next status reaches it."""
        present = {name: value for name, value in fields.items() if value is not None}
        self._live.say(state, **present)
        try:
            self._link.call("set_status", patience=_STATUS_PATIENCE, state=state, **present)
        except (GateRefused, Unreachable) as error:
            _log(f"status {state} not told: {error.message}")

    def _put_back(self) -> None:
        """At the very end, what was taken and not finished goes back; the next start would do it too, only later."""
        link = Link(self._settings.socket, Waits())
        try:
            link.call("nack", patience=_PARTING_PATIENCE)
        except (GateRefused, Unreachable) as error:
            _log(f"what was taken could not be put back: {error.message}")
        finally:
            link.close()


def _needs_login(why: str) -> dict[str, Any]:
    return {"state": "needs_login", "text": why}


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:200]


def _log(text: str) -> None:
    sys.stderr.write(f"hive agent: {text}\n")
