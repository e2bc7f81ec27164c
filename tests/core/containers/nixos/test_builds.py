"""Whose fault a build is that fails, what a build may do, and what it leaves behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from hive_core.containers.nixos import builds, nix
from hive_core.containers.nixos.nix import TheMachine
from hive_core.errors import BuildFailed, Refused
from hive_core.process import Owner
from tests.core.containers.test_contract import Backend
from tests.git import commit
from tests.hives import CHECKOUT, eventually
from tests.needs import needs_nix, needs_root

pytestmark = needs_nix
TOML = 'command = ["sleep", "1000"]\n'
TOPLEVEL = "{{ lib, ... }}: {{ system.build.toplevel = lib.mkForce {{ drvPath = {0}; outPath = {0}; }}; }}"


def build(backend: Backend, module: str = "{ }", name: str = "a") -> str:
    """Commit a configuration with this agent.nix, and build it."""
    backend.commit(name, TOML)
    repository = backend.home / "applied" / name
    revision = commit(repository, {"agent.nix": module})
    backend.host.build(name, repository, revision, backend.lock)
    return revision


def links(backend: Backend, name: str = "a") -> list[Path]:
    return [link for _revision, _hive, link in builds.links(backend.home / "containers" / name)]


def play(backend: Backend, program: str, script: str) -> None:
    """Have a program of nix's be this shell script from now on. REAL in it is the real one."""
    from shutil import which

    script = script.replace("REAL", str(which(program)))
    path = backend.home / "machine/bin" / program
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


# --- the configuration's own fault


@pytest.mark.parametrize(
    ("module", "told"),
    [
        ("{ nothing.here = 1; }", "nothing' does not exist"),
        ('{ lib, ... }: { hive.name = lib.mkForce "manager"; }', "read-only"),
        ('{ system.extraBuild = "echo its own words >&2; exit 7"; }', "its own words"),
        ("{ syntax error", "syntax error"),
        ("{ networking.hostName = let x = x; in x; }", "infinite recursion"),
        ('{ networking.hostName = builtins.readFile "/etc/passwd"; }', "forbidden in pure eval"),
        ('{ networking.hostName = builtins.readFile (builtins.fetchurl "file:///etc/passwd"); }', "fetch"),
        (TOPLEVEL.format('"--no-sandbox"'), "no derivation: it has '--no-sandbox' for a path"),
        (TOPLEVEL.format('"/etc"'), "no derivation: it has '/etc' for a path"),
        (TOPLEVEL.format("[ ]"), r"no derivation: it has '\[\]' for a path"),
    ],
)
def test_what_is_wrong_with_the_configuration_is_told_in_nixs_words(backend: Backend, module: str, told: str) -> None:
    with pytest.raises(BuildFailed, match=told):
        build(backend, module)
    assert links(backend) == []


def test_what_a_configuration_has_nix_say_without_end_is_cut(backend: Backend) -> None:
    said = 'builtins.concatStringsSep "" (builtins.genList (n: "on and on ") 200)'
    loop = f"builtins.foldl' (a: n: builtins.trace ({said}) a) 0 (builtins.genList (n: n) 5000)"
    tracemalloc.start()
    with pytest.raises(BuildFailed, match=r"(?s)on and on.*\[\.\.\.\].*the end of it") as told:
        build(backend, f'{{ networking.hostName = builtins.seq ({loop}) (throw "the end of it"); }}')
    assert tracemalloc.get_traced_memory()[1] < 16 * 2**20
    tracemalloc.stop()
    assert len(str(told.value)) < nix.MOST_WORDS + 1000


def test_what_a_configuration_comes_to_without_end_is_not_read(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = 'builtins.concatStringsSep "" (builtins.genList (n: "on and on ") 400000)'
    monkeypatch.setattr(nix, "run", partial(nix.run, most=2**20))
    with pytest.raises(BuildFailed, match="more text than"):
        build(backend, TOPLEVEL.format(f"({long})"))


def test_an_evaluation_has_an_end(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nix, "EVALUATION_SECONDS", 0.5)
    endless = "{ networking.hostName = let f = n: if n < 0 then n else f (n + 1); in toString (f 0); }"
    with pytest.raises(BuildFailed):
        build(backend, endless)


def test_a_build_that_only_evaluates_runs_nothing_of_the_agents(backend: Backend, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    evil = f"""{{ pkgs, ... }}: {{ networking.hostName = import (pkgs.build "evil" "echo x > {mark}; echo '\\"x\\"' > $out"); }}"""
    with pytest.raises(BuildFailed, match="allow-import-from-derivation"):
        build(backend, evil)
    assert not mark.exists()


# --- the machine's


def sets(name: str, value: str) -> Callable[[Backend, pytest.MonkeyPatch], None]:
    return lambda _backend, patch: patch.setenv(name, value)


def plays(program: str, script: str) -> Callable[[Backend, pytest.MonkeyPatch], None]:
    return lambda backend, _patch: play(backend, program, script)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (plays("nix", "exit 127"), "no version"),
        (plays("nix", "echo nix '(Nix)' 2.3.16"), "hive needs 2.8"),
        (plays("nix", 'case "$*" in *version*) exec REAL "$@";; esac; echo nonsense'), "cannot be read"),
        (plays("nix", 'case "$*" in *eval*) kill -9 $$;; esac; exec REAL "$@"'), "ended by SIGKILL"),
        (plays("nix-store", "kill -9 $$"), "ended by SIGKILL"),
        (plays("nix-store", "echo 'error: writing to file: No space left on device' >&2; exit 1"), "No space left"),
        (sets("NIX_REMOTE", "daemon"), "cannot connect|cannot build here"),
        (sets("NIX_STATE_DIR", "/proc/nothing"), "cannot build here|no version"),
    ],
)
def test_what_the_machine_cannot_is_no_configurations_fault(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, wrong: Callable[..., None], told: str
) -> None:
    wrong(backend, monkeypatch)
    with pytest.raises(TheMachine, match=told):
        build(backend)
    assert links(backend) == []
    rows = {what: (will_do, words) for what, will_do, words in backend.host.capabilities()}
    assert set(rows) == {"nix", "builds", "sandbox", "nixos-container", "systemd"}
    assert not all(will_do for will_do, _words in rows.values())


def test_without_nix_nothing_is_anybodys_fault(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = backend.home / "few"
    programs.mkdir()
    for name in ("setpriv", "prlimit", "git", "env", "sh"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(TheMachine, match=r"no version|not installed"):
        build(backend)
    assert all(words for _what, _will_do, words in backend.host.capabilities())


def test_nothing_is_built_where_a_build_could_do_more_than_build(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HIVE_TESTING")
    monkeypatch.setattr("hive_core.containers.nixos.places.ROOT", "HIVE_NIXOS_ROOT")
    with pytest.raises(Refused, match=r"without a sandbox.*\n?.*sandbox = true"):
        build(backend)
    safe = {"sandbox": True, "build-users-group": "nixbld"}
    assert nix.unsafe(safe) == []
    assert [wrong for wrong, _ in nix.unsafe({**safe, "sandbox": "relaxed"})] == ["nix builds without a sandbox"]


@needs_root
def test_nothing_is_built_as_root() -> None:
    assert [wrong for wrong, _ in nix.unsafe({"sandbox": True, "build-users-group": ""})] == ["nix would build as root"]


# --- what is left


def test_a_build_that_is_there_is_not_made_again(backend: Backend) -> None:
    revision = build(backend)
    play(backend, "nix", "exit 1")
    backend.host.build("a", backend.home / "applied/a", revision, backend.lock)
    assert len(links(backend)) == 1


def test_a_build_is_of_what_was_committed_and_keeps_others_files_out(backend: Backend) -> None:
    build(backend)
    (one,) = links(backend)
    backend.commit("b", TOML)
    key = "sk-obviously-fake-key-of-b"
    repository = backend.home / "applied/b"
    revision = commit(repository, {"notes": key, "agent.nix": "{ }"})
    backend.host.build("b", repository, revision, backend.lock)
    needed = subprocess.run(["nix-store", "-qR", str(one.resolve())], capture_output=True, text=True, check=True).stdout
    for path in needed.split():
        assert subprocess.run(["grep", "-rqs", key, path], check=False).returncode == 1


def test_several_are_built_at_once_and_one_that_cannot_be_is_left_to_itself(backend: Backend) -> None:
    revisions = {}
    for name, module in {"a": "{ }", "b": '{ system.extraBuild = "exit 3"; }', "c": "{ }"}.items():
        backend.commit(name, TOML)
        repository = backend.home / "applied" / name
        revisions[name] = (repository, commit(repository, {"agent.nix": module}))
    backend.host.build_together(revisions, backend.lock)
    assert [len(links(backend, name)) for name in "abc"] == [1, 0, 1]
    with pytest.raises(BuildFailed):
        backend.host.build("b", *revisions["b"], backend.lock)
    # Nix keeps them until they are forgotten.
    kept = [link.readlink() for name in "ac" for link in links(backend, name)]
    systems = [link.resolve() for link in kept]
    subprocess.run(["nix-store", "--delete", *systems], capture_output=True, check=False)
    assert all(system.exists() for system in systems)
    backend.host.destroy("a")
    assert [link.is_symlink() for link in kept] == [False, True]


def test_what_the_locked_hive_builds_from_is_kept_and_no_other_hives(backend: Backend) -> None:
    shutil.rmtree(backend.home / "containers/.roots")
    build(backend)
    (root,) = (backend.home / "containers/.roots").glob("nixpkgs-*")
    assert (root.resolve() / "nixos/lib/eval-config.nix").is_file()
    subprocess.run(["nix-store", "--delete", root.resolve()], capture_output=True, check=False)
    assert root.exists()
    backend.host.shared_leftovers(backend.lock, dry=False)
    assert root.is_symlink()
    backend.host.shared_leftovers(backend.lock._replace(hive="1" * 40), dry=False)
    assert not root.is_symlink()


@pytest.mark.parametrize("program", ["nix", "nix-store"])
def test_a_killed_hive_leaves_no_nix_behind(backend: Backend, program: str) -> None:
    """Neither while it evaluates nor while it builds; what it was at can be done again."""
    told = backend.home / "told"
    words = "eval" if program == "nix" else "--realise"
    play(backend, program, f'case "$*" in *{words}*) echo $$ >{told}; exec sleep 1000;; esac; exec REAL "$@"')
    backend.commit("a", TOML)
    repository = backend.home / "applied/a"
    revision = commit(repository, {"agent.nix": "{ }"})
    script = (
        "import sys; from pathlib import Path; from hive_core.containers.base import Lock; "
        "from hive_core.containers.nixos import builds; from tests.core.containers.nixos.machine import threaded; "
        "builds.build(Path(sys.argv[1]), 'a', Path(sys.argv[2]), sys.argv[3], "
        "Lock(Path('/x'), sys.argv[4], (Path(sys.argv[5]),), threaded))"
    )
    words = [
        str(backend.home / "containers/a"),
        str(repository),
        revision,
        backend.lock.hive,
        str(backend.home / "base"),
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", script, *words], cwd=CHECKOUT, env={**os.environ, "PYTHONPATH": "."}
    )
    pid = int(eventually(lambda: told.read_text() if told.exists() else ""))
    owner = Owner.of(pid)
    assert owner is not None
    process.send_signal(signal.SIGKILL)
    process.wait()
    eventually(lambda: not owner.alive())
    assert backend.host.shared_leftovers(backend.lock, dry=True) > 0
    (backend.home / "machine/bin" / program).unlink()
    backend.host.build("a", repository, revision, backend.lock)
    assert len(links(backend)) == 1
    # Nor a folder, once somebody builds.
    assert backend.host.shared_leftovers(backend.lock, dry=True) == 0


def test_what_is_threaded_in_is_in_the_system(backend: Backend) -> None:
    build(backend)
    (link,) = links(backend)
    ((unit, service),) = json.loads((link.resolve() / "services.json").read_text()).items()
    assert unit == "hive-agent"
    assert "HIVE_PORT='8100'" in service["script"]
