"""What this machine offers is found out by running it; what cannot be run is as good as absent."""

from __future__ import annotations

import functools
from pathlib import Path

import pytest

from hive_core.containers.local import probe
from hive_core.containers.local.sandbox import Sandbox
from tests.core.containers.local.machine import Machine
from tests.needs import requires
from tests.programs import path_without

BROKEN = {
    "not executable": ("#!/bin/sh\n", 0o644, "bwrap cannot be run: Permission denied"),
    "for another machine": ("\x7fELF nonsense", 0o755, "cannot be run: Exec format error"),
    "without its interpreter": ("#!/nowhere/sh\n", 0o755, "is not installed"),
    "failing": ("#!/bin/sh\necho no namespaces for you >&2; exit 1\n", 0o755, "no namespaces for you"),
    "failing in several lines": (
        "#!/bin/sh\nprintf 'none for you.\\n   Ask root.\\n' >&2; exit 1\n",
        0o755,
        "you. Ask root.",
    ),
    "silently failing": ("#!/bin/sh\nexit 3\n", 0o755, "it ended with code 3"),
}


def with_bwrap(folder: Path, text: str, mode: int) -> str:
    """A PATH on which bwrap is this."""
    path = path_without(folder, "bwrap")
    (folder / "bwrap").write_text(text)
    (folder / "bwrap").chmod(mode)
    return path


@functools.cache
def second_best() -> Sandbox:
    """What this machine offers beside bubblewrap."""
    return Sandbox.UNSHARE if dict(probe.attempts())[Sandbox.UNSHARE] is None else Sandbox.NONE


@requires("unshare")
@pytest.mark.parametrize("how", BROKEN)
def test_a_bubblewrap_that_does_not_work_is_as_good_as_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    text, mode, said = BROKEN[how]
    monkeypatch.setenv("PATH", with_bwrap(tmp_path, text, mode))
    sandbox, failure = next(probe.attempts())
    assert sandbox is Sandbox.BWRAP
    assert said in str(failure)
    assert probe.probe() is second_best()


def test_a_bubblewrap_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", with_bwrap(tmp_path, "#!/bin/sh\nexec sleep 1000\n", 0o755))
    monkeypatch.setattr(probe, "_SECONDS", 0.2)
    assert "was not done after" in str(dict(probe.attempts())[Sandbox.BWRAP])


def test_a_program_that_happens_to_lie_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", path_without(tmp_path / "programs", "bwrap", "setpriv"))
    for name in ("bwrap", "setpriv"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/run\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    assert probe.probe() is Sandbox.NONE
    assert not (tmp_path / "run").exists()


@requires("unshare")
def test_an_agent_starts_in_the_next_best_sandbox(plain: Machine, tmp_path: Path) -> None:
    plain.environment["PATH"] = with_bwrap(tmp_path, "#!/bin/sh\n", 0o644)
    plain.run("a", "sleep", "100")
    assert '"unshare"' in (plain.home / "containers/a/run.json").read_text()
