"""What every backend promises that leaves all as it is: asked of one in which a container runs, for all tests here."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress

import pytest

from hive_core.containers.backends import BACKENDS
from hive_core.containers.base import AGENT_USERS
from hive_core.errors import BuildFailed, HiveError, NotFound, Refused
from tests.core.containers.test_contract import ALL, DEADLINE, FOR_EVER, Backend, opened
from tests.git import commit

SAYS = "import os, sys; print(open(sys.argv[1] + '/note').read(), os.getuid(), sys.argv[2])"


@pytest.fixture(scope="module", params=ALL)
def running(request: pytest.FixtureRequest) -> Iterator[tuple[Backend, Mapping[str, str]]]:
    """A backend in which a container of the agent `a` runs, and what was told of it by the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIVE_TESTING", "1")
        with opened(request.param) as made:
            made.run("a")
            yield made, {name: value for name, value in os.environ.items() if name.startswith("HIVE_")}


@pytest.fixture
def backend(running: tuple[Backend, Mapping[str, str]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Backend]:
    made, environment = running
    # Each test begins without what a person's own hive goes by.
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    before = made.now("a")
    assert before.running
    yield made
    assert made.now("a") == before


def test_a_build_again_is_as_good_as_once_and_touches_nothing_that_runs(backend: Backend) -> None:
    before = backend.now("a")
    for _ in range(2):
        backend.host.build("a", backend.home / "applied/a", before.revision or "", backend.lock)
    assert backend.now("a") == before


def test_a_start_of_what_runs_does_nothing_and_of_nothing_is_refused(backend: Backend) -> None:
    with pytest.raises(NotFound):
        backend.host.start("b", backend.view("b"))
    before = backend.now("a")
    backend.host.start("a", backend.view("a"))
    assert backend.now("a") == before


def test_a_configuration_that_cannot_be_is_refused_by_file_line_and_key(backend: Backend) -> None:
    revision = backend.commit("b", "command = ['x']\nsettle_seconds = 'long'\n")
    with pytest.raises(BuildFailed, match=r"agent\.toml, line 2: settle_seconds"):
        backend.host.build("b", backend.home / "applied/b", revision, backend.lock)
    with pytest.raises(BuildFailed, match=r"agent\.toml is missing"):
        backend.host.build(
            "b",
            backend.home / "applied/b",
            commit(backend.home / "applied/b", {"agent.toml": None, "x": ""}),
            backend.lock,
        )


def test_what_a_system_has_is_told_before_it_is_built_or_not_at_all(backend: Backend) -> None:
    revision = backend.commit("b", "command = ['x']\n")
    repository = backend.home / "applied/b"
    found = backend.host.configuration_of("b", repository, revision, lambda: backend.lock)
    assert found is None or {"packages", "ports", "mounts", "users", "units", "environment"} <= found.keys()
    assert backend.host.container("b") is None
    with pytest.raises(BuildFailed):
        backend.host.switch("b", revision, backend.view("b"), run=True)


def test_what_was_not_built_cannot_be_switched_to(backend: Backend) -> None:
    revision = backend.commit("b", f"command = {json.dumps(list(FOR_EVER))}\n")
    with pytest.raises(BuildFailed, match="no build of"):
        backend.host.switch("b", revision, backend.view("b"), run=True)


def test_nobody_enters_without_a_terminal(backend: Backend) -> None:
    with pytest.raises(Refused):
        backend.host.enter("a", backend.view("a"), ["true"])


def test_who_calls_is_in_no_container(backend: Backend) -> None:
    assert backend.host.container_of(os.getpid()) is None


def test_an_errand_is_run_as_the_agent_on_what_it_is_shown_and_its_output_returned(backend: Backend) -> None:
    view = backend.view("a")
    (backend.home / "agents/a/state/note").write_text("hello")
    said = backend.host.errand("a", view, SAYS, ("/state", "/other"), seconds=DEADLINE)
    assert said.split() == ["hello", str(os.getuid() if view.uid is None else view.uid), "/other"]


def test_an_errand_that_does_not_end_well_is_told_of(backend: Backend) -> None:
    for source in ("import time; time.sleep(1000)", "raise SystemExit(3)", "raise ValueError", "this is no program"):
        with pytest.raises(HiveError):
            backend.host.errand("a", backend.view("a"), source, (), seconds=1.0 if "sleep" in source else DEADLINE)
    assert backend.now("a").running


def test_what_a_backend_finds_of_the_machine_is_in_words(backend: Backend) -> None:
    rows = backend.host.capabilities()
    assert "sandbox" in {what for what, _will_do, _words in rows}
    assert all(words for _what, _will_do, words in rows)


def test_a_name_is_checked_before_it_becomes_anything(backend: Backend) -> None:
    for name in ("../x", "a/b", "", ".", "A"):
        for call in (backend.host.container, backend.host.destroy, backend.host.page_key):
            with pytest.raises(HiveError):
                call(name)


def test_two_hives_do_not_meet(backend: Backend) -> None:
    with opened(type(backend.host).__name__.removesuffix("Host").lower()) as other:
        # Where names are the machine's, the second is refused.
        with suppress(Refused):
            other.run("a")
        other.host.destroy("a")
    assert backend.now("a").running


def test_a_backend_is_found_by_what_the_settings_name(backend: Backend) -> None:
    assert f"{type(backend.host).__module__}:{type(backend.host).__name__}" in BACKENDS.values()


def test_containers_have_users_of_their_own_or_none_at_all(backend: Backend) -> None:
    users = backend.host.users()
    # Above those of any account.
    assert users is None or min(users) >= AGENT_USERS.start
    assert os.geteuid() == 0 or users is None


def test_a_port_that_is_served_where_containers_serve_is_in_use(backend: Backend) -> None:
    with socket.socket() as server:
        server.bind((backend.host.page_host("a"), 0))
        server.listen()
        port = server.getsockname()[1]
        served = backend.host.listeners([port]).get(port)
        # A backend whose containers share no ports with the machine knows of none there.
        assert backend.host.port_in_use(port) == (served is not None)
        assert served in (None, {os.geteuid()})
    assert not backend.host.port_in_use(port)
