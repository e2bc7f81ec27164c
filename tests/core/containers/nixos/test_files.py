"""What hive writes for a container of nixos-container's, and how it reads of its ends: as text, without a machine."""

from __future__ import annotations

import math
import os
import signal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.containers.base import View
from hive_core.containers.config import Limits
from hive_core.containers.nixos import files, places, units
from hive_core.containers.nixos.files import ENDED, LastStart
from hive_core.containers.nixos.nix import unsafe
from hive_core.containers.nixos.places import Places, plain
from hive_core.errors import Refused
from hive_core.process import Owner, boot_id
from tests.properties import AWKWARD, thorough

RUN = LastStart("i1", "a" * 40, None, 90.0, boot_id())


def wrote(folder: Path, words: str, at: float = 95.0) -> None:
    """What systemd writes down of an end."""
    (folder / "end").mkdir(exist_ok=True)
    (folder / ENDED).write_text(words)
    os.utime(folder / ENDED, (at, at))


@pytest.mark.parametrize(
    ("words", "code", "memory"),
    [
        ("i1 success exited 0", 0, False),
        ("i1 exit-code exited 3", 3, False),
        ("i1 signal killed KILL", 128 + signal.SIGKILL, False),
        ("i1 core-dump dumped SEGV", 128 + signal.SIGSEGV, False),
        # With how many its limit of memory has killed, of a start by a hive that reads that.
        ("i1 signal killed KILL 0", 128 + signal.SIGKILL, False),
        ("i1 exit-code exited 137 2", 137, True),
        # What no systemd has said yet.
        ("i1 later odd WORDS", None, False),
    ],
)
def test_an_end_is_read_as_systemd_has_written_it_down(
    tmp_path: Path, words: str, code: int | None, memory: bool
) -> None:
    wrote(tmp_path, words)
    found = files.ended(tmp_path, RUN)
    assert (found.code, found.out_of_memory, found.at) == (code, memory, 95.0)
    assert files.has_ended(tmp_path, "i1")
    assert not files.has_ended(tmp_path, "i2")


def test_one_that_hive_has_ended_ended_by_its_signal(tmp_path: Path) -> None:
    wrote(tmp_path, "i1 success exited 0")
    assert files.ended(tmp_path, RUN._replace(stopped=signal.SIGTERM)).code == 128 + signal.SIGTERM


def test_an_end_that_was_not_written_down_or_is_another_starts_is_not_known(tmp_path: Path) -> None:
    for words in (None, "", "torn", "i1 so many words are too many"):
        if words is not None:
            wrote(tmp_path, words)
        found = files.ended(tmp_path, RUN)
        assert (found.code, found.at, found.machine_down) == (None, 90.0, False)
    wrote(tmp_path, "i0 success exited 0", at=80.0)
    assert files.ended(tmp_path, RUN).code is None
    assert files.ended(tmp_path, RUN._replace(boot="another")).machine_down is True


def test_a_start_past_hive_that_ended_later_is_the_last_end(tmp_path: Path) -> None:
    wrote(tmp_path, "i2 exit-code exited 3", at=99.0)
    assert files.ended(tmp_path, RUN._replace(stopped=9)).code == 3


def test_what_is_remembered_of_a_container_is_read_back(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "coder"
    assert (files.recorded(folder), files.last_run(folder), files.page_key(folder)) == (None, None, None)
    files.record(folder, {"revision": "a" * 40})
    files.record_run(folder, RUN)
    assert files.recorded(folder) == {"revision": "a" * 40}
    assert files.last_run(folder) == RUN
    files.new_page_key(folder)
    first = files.page_key(folder)
    files.new_page_key(folder)
    assert files.page_key(folder) != first
    assert (folder / files.PAGE_KEY).stat().st_mode & 0o777 == 0o600


amounts = st.none() | st.integers(1, 2**40).map(float) | st.just(math.inf)


@thorough
@given(amounts, amounts, st.none() | st.floats(0.01, 64) | st.just(math.inf))
def test_limits_are_systemds_and_what_is_not_asked_for_is_kept_from_taking_the_machine(
    memory: float | None, processes: float | None, cpu: float | None
) -> None:
    found = files.properties(Limits(memory, processes, cpu))  # type: ignore[arg-type]
    assert found["MemoryMax"] == ("75%" if memory is None else "infinity" if math.isinf(memory) else str(int(memory)))
    assert found["TasksMax"] == (
        "4096" if processes is None else "infinity" if math.isinf(processes) else str(int(processes))
    )
    assert ("CPUQuota" in found) == (cpu is not None and math.isfinite(cpu))
    if "CPUQuota" in found:
        assert float(found["CPUQuota"].removesuffix("%")) == pytest.approx(100 * (cpu or 0), rel=1e-5)


@thorough
@given(st.text(alphabet=AWKWARD, min_size=1, max_size=12))
def test_a_path_is_one_word_of_a_line_or_refused(text: str) -> None:
    path = Path("/srv") / text.replace("/", "x")
    if set(str(path)) <= set("abZ09./-_:#=+xsrv") - {"#"}:
        assert plain(path) == str(path)
    else:
        with pytest.raises(Refused, match="cannot be shown to a container"):
            plain(path)


def conf_of(tmp_path: Path, view: View, before: str = "") -> list[str]:
    where = Places("coder", str(tmp_path))
    where.conf.parent.mkdir(parents=True, exist_ok=True)
    where.conf.write_text(before)
    files.write_conf(where, tmp_path, view)
    return where.conf.read_text().splitlines()


def test_a_conf_shows_what_the_view_shows_and_keeps_what_is_not_hives(tmp_path: Path) -> None:
    view = View(700_005, {"/state": Path("/srv/state")}, {"/run/hive": Path("/srv/run")}, {})
    lines = conf_of(tmp_path, view, "SYSTEM_PATH=/nix/store/x\nPRIVATE_NETWORK=1\nAUTO_START=1\n")
    assert lines[0] == "SYSTEM_PATH=/nix/store/x"
    assert lines[1].startswith("EXTRA_NSPAWN_FLAGS=--bind=/srv/state:/state --bind-ro=/srv/run:/run/hive ")
    assert lines[2:] == ["PRIVATE_NETWORK=0", f"PRIVATE_USERS={700_005 - files.AGENT}", "AUTO_START=0"]
    # Again is as good as once.
    assert conf_of(tmp_path, view, "\n".join(lines) + "\n") == lines
    assert "PRIVATE_USERS=no" in conf_of(tmp_path, view._replace(uid=None))


def test_a_folder_that_would_be_two_words_is_not_written_into_a_conf(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="cannot be shown"):
        conf_of(tmp_path, View(None, {"/state": Path("/srv/a b")}, {}, {}), "before\n")
    assert Places("coder", str(tmp_path)).conf.read_text() == "before\n"


def test_a_moment_of_systemds_is_one_and_what_is_none_is_none() -> None:
    assert units._moment("Sat 2026-01-31 14:30:00.250000 UTC") == 1769869800.25
    for text in ("", "n/a", "Sat 2026-01-31 14:30:00", "Sat 2026-99-31 14:30:00 UTC", "a b c d"):
        assert units._moment(text) is None


def test_a_unit_runs_while_its_first_process_is_there() -> None:
    fields = {"ActiveState": "active", "InvocationID": "i1", "MainPID": str(os.getpid())}
    assert units._unit(fields).running
    assert not units._unit({**fields, "MainPID": "0"}).running
    assert not units._unit({**fields, "ActiveState": "failed"}).running
    gone = next(pid for pid in range(4_000_000, 2, -1) if Owner.of(pid) is None)
    assert not units._unit({**fields, "MainPID": str(gone)}).running
    assert units._unit({}) == units.ContainerUnit(False, "", 0, None)


def test_without_a_container_nothing_is_asked() -> None:
    assert units.look([]) == {}


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({"sandbox": True, "build-users-group": "nixbld"}, []),
        ({"sandbox": "relaxed", "build-users-group": "nixbld"}, ["nix builds without a sandbox"]),
        ({}, ["nix builds without a sandbox", "nix would build as root"]),
    ],
)
def test_a_build_that_could_do_more_than_build_is_known_by_nixs_settings(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, object], wrong: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.delenv("NIX_REMOTE", raising=False)
    assert [what for what, _ in unsafe(settings)] == wrong
    monkeypatch.setenv("NIX_REMOTE", "daemon")
    assert "nix would build as root" not in [what for what, _ in unsafe(settings)]


def test_an_agents_container_lies_where_nixos_container_keeps_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(places.TESTING, raising=False)
    found = places.of("coder")
    assert (found.container, found.unit) == ("h-coder", "container@h-coder.service")
    assert str(found.conf) == "/etc/nixos-containers/h-coder.conf"
    assert str(found.profile) == "/nix/var/nix/profiles/per-container/h-coder/system"
    assert str(found.journal) == "/var/lib/nixos-containers/h-coder/var/log/journal"
    assert str(found.drop_in) == "/run/systemd/system/container@h-coder.service.d/hive.conf"
    with pytest.raises(Refused, match="has 10 characters; on the backend nixos an agent's name has at most 9"):
        places.of("abcdefghij")
