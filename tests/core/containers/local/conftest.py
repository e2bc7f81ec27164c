"""Every test here runs in each sandbox, and with hive as root and as a plain user."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator

import pytest

from tests.core.containers.local.machine import Machine, machine
from tests.needs import requires
from tests.users import USER

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
SANDBOXES = {"bwrap": [requires("bwrap")], "unshare": [requires("unshare", "setpriv")], "none": []}


def cases(*sandboxes: str, users: tuple[str, ...] = ("root", "user")) -> list[object]:
    """Parameters (sandbox, user) for `machine`."""
    return [
        pytest.param((sandbox, user), id=f"{sandbox}-{user}", marks=[*SANDBOXES[sandbox], *_marks(user)])
        for sandbox in sandboxes
        for user in users
    ]


def _marks(user: str) -> list[pytest.MarkDecorator]:
    return [root_only] if user == "root" else []


def _open(case: tuple[str, str]) -> Iterator[Machine]:
    sandbox, user = case
    # Whoever runs the tests unprivileged is the plain user already.
    uid = USER if user == "user" and os.geteuid() == 0 else None
    with machine(sandbox, uid) as made:
        failure = _failures(uid)[sandbox]
        if failure and "CI" not in os.environ:
            pytest.skip(f"{sandbox} does not work on this machine for this user: {failure.splitlines()[0]}")
        yield made


@functools.cache
def _failures(uid: int | None) -> dict[str, str | None]:
    """What each sandbox fails with where this user starts it, as on a machine that is a container itself."""
    with machine(None, uid) as made:
        found: dict[str, str | None] = made.ask("probe")
        return found


@pytest.fixture(params=cases("bwrap", "unshare", "none"))
def anywhere(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Every sandbox, as root and as a plain user."""
    yield from _open(request.param)


@pytest.fixture(params=cases("bwrap", "unshare"))
def sandboxed(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """The sandboxes that are some."""
    yield from _open(request.param)


@pytest.fixture(params=cases("bwrap", "unshare", "none", users=("root",)))
def as_root(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Where limits can be set on the machines we test on."""
    yield from _open(request.param)


@pytest.fixture
def plain() -> Iterator[Machine]:
    """Whatever the machine offers, as the user of the tests: for what does not depend on it."""
    with machine(None, None) as made:
        yield made
