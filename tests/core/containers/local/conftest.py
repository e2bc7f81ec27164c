"""Every test here runs in each sandbox, and with hive as root and as a plain user."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.core.containers.local.machine import Machine, failures, machine
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


def _or_user(user: str) -> str:
    """Whom a case runs as: nobody is root where the tests are not."""
    return user if os.geteuid() == 0 else "user"


def _open(case: tuple[str, str]) -> Iterator[Machine]:
    sandbox, user = case
    # Whoever runs the tests unprivileged is the plain user already.
    uid = USER if user == "user" and os.geteuid() == 0 else None
    with machine(sandbox, uid) as made:
        failure = failures(uid)[sandbox]
        if failure and "CI" not in os.environ:
            pytest.skip(f"{sandbox} does not work on this machine for this user: {failure.splitlines()[0]}")
        yield made


@pytest.fixture(params=cases("bwrap", "unshare", "none"))
def anywhere(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Every sandbox, as root and as a plain user."""
    yield from _open(request.param)


_IN_TURN = [("bwrap", "root"), ("unshare", "user"), ("none", "root")]


@pytest.fixture(params=[case for sandbox, user in _IN_TURN for case in cases(sandbox, users=(_or_user(user),))])
def each_sandbox(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """Every sandbox once: for what a supervisor does whoever it runs as, and what each sandbox has to pass on to it."""
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
