"""The context every operation is handed: settings, store, containers, clock and who is asking. Never a global."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from hive_core.caller import THE_OPERATOR, Identity
from hive_core.containers.base import Host
from hive_core.errors import Refused
from hive_core.failed_repair import FailedRepair
from hive_core.locks import Busy, Say, file_lock, holder
from hive_core.settings import Settings
from hive_core.store import Store
from hive_core.transaction import guarded

# What `hive up` says that it does, where it is the only one of another kind.
BY_UP = "hive up"


def _silent(text: str) -> None:
    """Chatter nobody asked for goes nowhere."""


def _refused(name: str, holder: str) -> Refused:
    """What who wants to be the only `name` is told where there is one. holder: 'process 12, what it does'."""
    process, _, doing = holder.partition(", ")
    if doing == BY_UP and name != "up":
        return Refused(
            f"`hive up` is running ({process}), and does what `hive {name}` does.", "There is nothing to do."
        )
    return Refused(f"`hive {name}` is running already ({holder}).", "End that one with Ctrl-C.")


@dataclass
class Hive:
    """One caller's view of one hive.

    clock: unix seconds. say: takes a line of progress for the person who waits. unwritten: repairs that have failed
    while the database could not be written; this process alone knows of them.
    """

    settings: Settings
    store: Store
    caller: Identity = THE_OPERATOR
    clock: Callable[[], float] = time.time
    say: Say = field(default=_silent)
    unwritten: dict[str, FailedRepair] = field(default_factory=dict)

    @classmethod
    def open(cls, settings: Settings, say: Say = _silent) -> Hive:
        return cls(settings, Store(settings.database, locks=settings.locks), say=say)

    def acting_as(self, caller: Identity, say: Say = _silent) -> Hive:
        """The same hive for another caller."""
        return replace(self, caller=caller, say=say)

    @cached_property
    def host(self) -> Host:
        """What drives the containers: the backend that the settings name. Not to be asked inside a change."""
        # A backend is imported when a command first needs containers.
        from hive_core.containers import hosts

        return guarded(hosts.made(self.settings))

    def lock(self, name: str, purpose: str, *, wait: bool = True) -> AbstractContextManager[None]:
        """Hold the lock of an agent. Order: an agent's lock first, then meta's; never two agents' at once."""
        return self._lock(f"agent-{name}", purpose, wait)

    def meta_lock(self, purpose: str) -> AbstractContextManager[None]:
        """Hold the lock of the meta flake."""
        return self._lock("meta", purpose, True)

    def lone(self, name: str, purpose: str) -> AbstractContextManager[None]:
        """Be the only process of this kind (`watch`, `up`, `gate`). Raises Refused when there is one."""
        return self._alone(name, purpose)

    def running(self, name: str) -> int | None:
        """The process that is the one of its kind, as `lone` makes it; None when there is none."""
        return holder(self.settings.locks / f"{name}.lock")

    def locked_by(self, name: str) -> int | None:
        """The process that holds the lock of an agent; None when nobody does."""
        return holder(self.settings.locks / f"agent-{name}.lock")

    @contextmanager
    def _alone(self, name: str, purpose: str) -> Iterator[None]:
        with ExitStack() as stack:
            try:
                stack.enter_context(self._lock(name, purpose, False))
            except Busy as busy:
                raise _refused(name, busy.holder) from busy
            yield

    def _lock(self, name: str, purpose: str, wait: bool) -> AbstractContextManager[None]:
        # A parent that is made on the way would get the umask's mode: others could look into a new home.
        self.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.settings.locks.mkdir(mode=0o700, exist_ok=True)
        return file_lock(self.settings.locks / f"{name}.lock", purpose, wait=wait, say=self.say)

    def applied_path(self, name: str) -> Path:
        return self.settings.applied / name

    def agent_path(self, name: str) -> Path:
        return self.settings.agents / name
