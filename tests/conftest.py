"""Every test has a hive of its own; the person's real one is out of reach."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hive_core.context import Hive
from hive_fleet.agents import desired, table
from tests import network
from tests.booted import booted_machine  # noqa: F401  (a fixture)
from tests.hives import TestHive

# A shell starts what runs in its background with SIGINT ignored; the commands of a test must not inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

gc.disable()

# What a person's own programs go by.
REMEMBERED = {"HIVE_BACKEND": "memory", "HIVE_TESTING": "1"}
_PERSONAL = ("HIVE_", "GIT_", "ANTHROPIC_", "CLAUDE", "OPENAI_", "CODEX_")
_LONGEST = {
    "test_booted",
    "test_booted_service",
    "test_killed",
    "test_no_message_lost",
    "test_end_to_end",
    "test_benchmarks",
    "test_readme",
    "test_plain_user",
}
_LONGEST |= {"test_umask", "test_clis", "test_run", "test_installed", "test_reach", "test_environment", "test_fuzz"}
_REAL = [Path("/var/lib/hive"), Path("/run/hive")]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Who hands out the tests runs none, and stays where it is."""
    if not session.config.getoption("numprocesses", None):
        network.leave()


@pytest.fixture(autouse=True)
def _no_real_state(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Make touching the real state folder, home or git configuration an error."""
    for variable in [name for name in os.environ if name.startswith(_PERSONAL)]:
        if not variable.startswith("HIVE_TEST_"):
            monkeypatch.delenv(variable)
    forbidden = tmp_path_factory.getbasetemp() / "not-a-folder"
    forbidden.write_text("a test must name its own HIVE_HOME")
    monkeypatch.setenv("HIVE_HOME", str(forbidden))
    monkeypatch.setenv("HIVE_RUN", str(forbidden))
    monkeypatch.setenv("HOME", str(forbidden))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(scope="session", autouse=True)
def _real_state_untouched() -> Iterator[None]:
    before = [path.stat().st_mtime_ns if path.exists() else None for path in _REAL]
    yield
    assert [path.stat().st_mtime_ns if path.exists() else None for path in _REAL] == before


@pytest.fixture
def hive(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[TestHive]:
    """A hive in a folder of its own, driven through its command line as a person drives it.

    Its containers are only remembered in tests that are marked as `remembered`: what they are about needs none to run.
    One of a module that is marked so may need some all the same: `remembered(False)`.
    """
    made = TestHive(tmp_path / "hive")
    marker = request.node.get_closest_marker("remembered")
    if marker is not None and marker.args != (False,):
        made.extra |= REMEMBERED
        monkeypatch.setenv("HIVE_TESTING", REMEMBERED["HIVE_TESTING"])
    yield made
    made.close()


@pytest.fixture
def said(inside: Hive) -> list[str]:
    """What the hive of a test, which its module calls `inside`, says to whoever is there."""
    lines: list[str] = []
    inside.say = lines.append
    return lines


@pytest.fixture
def enlist(hive: TestHive) -> Callable[..., Hive]:
    """Makes rows of agents that are to run, which have no containers, and returns the hive that has them."""

    def make(*names: str) -> Hive:
        inside = hive.inside()
        with inside.store.write() as db:
            for name in names:
                table.add(db, name, uid=None, desired=desired.RUNNING, created_at=1.0)
        return inside

    return make


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    from tests.schedule import Schedule

    return Schedule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest tests first, so that no worker is left alone with one at the end."""
    items.sort(key=lambda item: item.path.stem not in _LONGEST)


def pytest_collection_finish() -> None:
    """What is there before the first test stays: the collector need not go through it after each, nor until then."""
    gc.enable()
    gc.collect()
    gc.freeze()
