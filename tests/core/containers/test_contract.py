"""What every backend promises (hive_core/containers/base.py), asked of each one.

What leaves all as it is is asked of one in which a container runs already: see test_contract_running.py.
"""

from __future__ import annotations

import json
import os
import re
import select
import signal
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from hive_core.containers import hosts
from hive_core.containers.backends import BACKENDS
from hive_core.containers.base import HARNESS_UNITS, Container, Host, Lock, View
from hive_core.errors import BuildFailed, NotFound, Refused
from hive_core.git.library import pygit2
from hive_core.hostile_folders import remove
from hive_core.settings import from_environment
from tests.core.containers.nixos import machine
from tests.git import commit
from tests.hives import eventually
from tests.needs import needs_nix

DEADLINE = 60.0
FOR_EVER = ("sleep", "1000")
ALL = [pytest.param(name, marks=needs_nix if name == "nixos" else ()) for name in sorted(BACKENDS)]


@dataclass
class Backend:
    """One backend over a home of its own, with what its caller does around it."""

    host: Host
    home: Path
    lock: Lock

    def view(self, name: str, hive: str | None = None) -> View:
        state = self.home / "agents" / name / "state"
        state.mkdir(parents=True, exist_ok=True)
        users = self.host.users()
        uid = None if users is None else users.start
        if uid is not None:
            os.chown(state, uid, uid)
        return View(uid, {"/state": state}, {}, {}, lock=self.lock._replace(hive=hive or self.lock.hive))

    def commit(self, name: str, toml: str) -> str:
        repository = self.home / "applied" / name
        if not repository.exists():
            pygit2.init_repository(str(repository), initial_head="main")
        return commit(repository, {"agent.toml": toml})

    def build(self, name: str, *command: str) -> str:
        revision = self.commit(name, f"command = {json.dumps(list(command))}\n")
        self.host.build(name, self.home / "applied" / name, revision, self.lock)
        return revision

    def run(self, name: str, *command: str) -> str:
        revision = self.build(name, *(command or FOR_EVER))
        self.host.switch(name, revision, self.view(name), run=True)
        return revision

    def now(self, name: str) -> Container:
        found = self.host.container(name)
        assert found is not None
        return found

    def written(self, name: str, lines: int = 10, *, since: float = 0.0) -> list[str]:
        """What the container's program wrote last, with its times."""
        return self.host.journal(name, lines, HARNESS_UNITS, since=since)

    def after_its_end(self, name: str) -> Container:
        for descriptor in self.host.exits([name]).values():
            assert ends(descriptor)
        return self.now(name)


def ends(descriptor: int, seconds: float = DEADLINE) -> bool:
    """Whether what a descriptor stands for ends in this time; the descriptor is closed."""
    try:
        return bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


@contextmanager
def opened(name: str) -> Iterator[Backend]:
    home = Path(tempfile.mkdtemp(prefix="hive-contract-")).resolve()
    home.chmod(0o711)
    base = home / "base"
    pygit2.init_repository(str(base), initial_head="main")
    with ExitStack() as around:
        if name == "nixos":
            around.enter_context(machine.machine(home / "machine"))
            machine.maker(base)
        revision = commit(base, {"hive_agent/run.py": "one"})
        if name == "nixos":
            machine.has_built(home / "containers", revision)
        settings = from_environment({"HIVE_HOME": str(home), "HIVE_RUN": f"{home}/run", "HIVE_BACKEND": name})
        made = Backend(hosts.made(settings), home, Lock(home / "meta", revision, (base,), machine.threaded))
        try:
            yield made
        finally:
            for container in made.host.containers():
                made.host.destroy(container)
            remove(home)


@pytest.fixture(params=ALL)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    monkeypatch.setenv("HIVE_TESTING", "1")
    with opened(request.param) as made:
        yield made


# --- builds and switches


def test_at_first_there_is_no_container_and_a_build_makes_none(backend: Backend) -> None:
    assert (backend.host.containers(), backend.host.container("a")) == ({}, None)
    backend.build("a", *FOR_EVER)
    assert (backend.host.containers(), backend.host.container("a")) == ({}, None)


def test_a_switch_without_run_has_it_stopped_with_that_revision(backend: Backend) -> None:
    revision = backend.build("a", *FOR_EVER)
    backend.host.switch("a", revision, backend.view("a"), run=False)
    assert backend.now("a") == Container("a", False, None, revision, revision, None, None)


def test_a_switch_starts_it_anew_with_the_new_revision(backend: Backend) -> None:
    one = backend.run("a")
    before = backend.now("a")
    two = backend.run("a", "sleep", "2000")
    after = backend.now("a")
    assert (before.revision, after.revision, after.next_revision) == (one, two, two)
    assert after.running
    assert after.instance not in (None, before.instance)
    assert (before.started_at or 0) <= (after.started_at or 0)
    backend.host.switch("a", one, backend.view("a"), run=True)
    assert backend.now("a").revision == one


def test_it_tells_which_hive_it_was_started_with(backend: Backend) -> None:
    backend.run("a")
    assert backend.now("a").hive == backend.lock.hive
    newer = commit(backend.home / "base", {"hive_agent/run.py": "two"})
    backend.host.start("a", backend.view("a", newer))
    assert backend.now("a").hive == backend.lock.hive
    backend.host.stop("a", grace=0)
    backend.host.start("a", backend.view("a", newer))
    assert backend.now("a").hive == newer


# --- starts and ends


def test_an_end_is_told_by_its_signal(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "echo ready; exec sleep 1000")
    starts = 0
    for end in (backend.host.stop, backend.host.end):
        for grace, cause in ((30.0, "SIGTERM"), (0.0, "SIGKILL")):
            backend.host.start("a", backend.view("a"))
            starts += 1
            # What starts it is not asked to end in its place.
            eventually(
                lambda starts=starts: sum(line.endswith("ready") for line in backend.written("a", 100)) == starts
            )
            end("a", grace=grace)
            found = backend.after_its_end("a")
            assert (found.running, found.instance) == (False, None)
            assert found.ended is not None
            assert found.ended.cause == cause
            end("a", grace=grace)
            assert backend.now("a") == found


def test_a_program_that_ends_by_itself_leaves_its_code(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "exit 3")
    ended = backend.after_its_end("a").ended
    assert ended is not None
    assert (ended.code, ended.out_of_memory, ended.cause) == (3, False, "exit code 3")


def test_a_program_that_a_signal_ends_leaves_that(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "kill -SEGV $$")
    ended = backend.after_its_end("a").ended
    assert ended is not None
    assert (ended.code, ended.out_of_memory, ended.cause) == (128 + signal.SIGSEGV, False, "SIGSEGV")


def test_an_end_wakes_who_waits_for_it_and_only_of_what_runs_there_is_one_to_wait_for(backend: Backend) -> None:
    backend.run("a")
    backend.host.switch("b", backend.build("b", *FOR_EVER), backend.view("b"), run=False)
    exits = backend.host.exits(["a", "b", "nobody"])
    assert list(exits) == ["a"]
    assert not select.select([exits["a"]], [], [], 0)[0]
    backend.host.end("a", grace=0)
    assert ends(exits["a"])
    assert backend.host.exits(["a"]) == {}


def test_one_and_all_are_told_alike(backend: Backend) -> None:
    for name in ("a", "b-2"):
        backend.run(name)
    backend.host.stop("a", grace=0)
    assert backend.host.containers() == {name: backend.host.container(name) for name in ("a", "b-2")}


def test_what_is_destroyed_is_gone_with_its_journal_and_can_be_made_again(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "echo first; exit 0")
    backend.after_its_end("a")
    for _ in range(2):
        backend.host.destroy("a")
        assert backend.host.containers() == {}
    with pytest.raises(NotFound):
        backend.host.journal("a", 10)
    backend.run("a", "sh", "-c", "echo second; exit 0")
    backend.after_its_end("a")
    assert [line.split(" ", 1)[1] for line in backend.written("a")] == ["second"]


# --- what is to be seen


def test_the_journal_has_the_last_lines_with_their_times_oldest_first(backend: Backend) -> None:
    backend.run("a", "sh", "-c", "echo one; echo two words; echo three; exit 0")
    backend.after_its_end("a")
    lines = backend.written("a", 2)
    assert [line.split(" ", 1)[1] for line in lines] == ["two words", "three"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line) for line in lines)
    assert backend.written("a", 0) == backend.host.journal("a", 0) == []
    # What all of it wrote has this, and may have more.
    assert set(lines) < set(backend.written("a")) <= set(backend.host.journal("a", 1000))


def test_a_followed_journal_goes_on_with_what_comes(backend: Backend) -> None:
    revision = backend.run("a", "sh", "-c", "echo one; exit 0")
    backend.after_its_end("a")
    lines = backend.host.follow_journal("a", 10, HARNESS_UNITS)
    assert next(lines).endswith(" one")
    backend.host.switch("a", revision, backend.view("a"), run=True)
    with ThreadPoolExecutor(1) as pool:
        (further,) = pool.submit(lambda: list(islice(lines, 1))).result(DEADLINE)
    assert further.endswith(" one")


def test_the_key_of_a_page_is_another_at_every_start(backend: Backend) -> None:
    assert backend.host.page_key("a") is None
    backend.run("a")
    first = backend.host.page_key("a")
    assert first
    backend.host.stop("a", grace=0)
    assert backend.host.page_key("a") is None
    backend.host.start("a", backend.view("a"))
    assert backend.host.page_key("a") not in (None, first)


# --- the table


def test_the_one_for_tests_is_refused_outside_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HIVE_TESTING", raising=False)
    with pytest.raises(Refused, match="for the tests of hive alone"):
        hosts.made(from_environment({"HIVE_HOME": "/nonexistent/hive", "HIVE_BACKEND": "memory"}))


# --- what is true of the machine alone


def test_only_lines_of_a_run_are_told_where_its_start_is_known(backend: Backend) -> None:
    revision = backend.run("a", "sh", "-c", "echo run; exit 0")
    first = backend.after_its_end("a")
    backend.host.switch("a", revision, backend.view("a"), run=True)
    second = backend.after_its_end("a")
    assert (first.started_at or 0) < (second.started_at or 0)
    assert len(backend.written("a")) == 2
    assert len(backend.written("a", since=first.started_at or 0)) == 2
    assert len(backend.written("a", since=second.started_at or 0)) == 1


# --- what is left over


def test_builds_that_a_container_neither_runs_nor_has_are_left_over(backend: Backend) -> None:
    first = backend.run("a", "sh", "-c", "exec sleep 1000")
    second = backend.build("a", "sh", "-c", "exec sleep 1001")
    size = backend.host.usage("a")["builds"]
    freed = backend.host.leftovers("a", dry=True)
    assert 0 < freed < size
    assert backend.host.usage("a")["builds"] == size
    assert backend.host.leftovers("a", dry=False) == freed
    assert backend.host.leftovers("a", dry=True) == 0
    assert backend.now("a").revision == first
    with pytest.raises(BuildFailed):
        backend.host.switch("a", second, backend.view("a"), run=True)


def test_what_is_left_over_of_all_keeps_what_is_locked_and_what_is_used(backend: Backend) -> None:
    backend.run("a")
    backend.host.shared_leftovers(backend.lock, dry=False)
    backend.host.stop("a", grace=0)
    backend.host.start("a", backend.view("a"))
    assert backend.host.shared_leftovers(backend.lock, dry=True) == 0


def test_what_works_uses_the_processor_and_what_ended_has_no_activity(backend: Backend) -> None:
    assert backend.host.activity("coder") is None
    backend.run("coder")
    first = backend.host.activity("coder")
    assert first is not None
    assert first.processes
    assert first == backend.host.activity("coder")
    backend.host.stop("coder", grace=0)
    assert backend.host.activity("coder") is None
