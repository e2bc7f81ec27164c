"""The checkout's own Python environments: one for each interpreter, and none changed under a process."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import shutil
import socket
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from hive_core import environment
from hive_core.environment import lacking
from tests.hives import CHECKOUT, PATIENCE
from tests.needs import other_python

ENTER = (
    "import sys; from pathlib import Path; from hive_core import environment; environment.enter(Path(sys.argv[1])); "
)
TELL = "import tiny; print(sys.version_info[1], tiny.VERSION, flush=True)"
MAKE = "import sys; from pathlib import Path; from hive_core import environment; "
# Where environments are made without the real pip, by who finds this first.
LIGHT = CHECKOUT / "tests" / "stand_ins" / "light_venv"
OWN = f"{sys.version_info[0]}.{sys.version_info[1]}"


def library(folder: Path, version: str, name: str = "tiny") -> str:
    """A wheel with one small module, as a dependency names it."""
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        info = f"{name}-{version}.dist-info"
        made.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        made.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: t\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return f"{name} @ {wheel.as_uri()}"


@pytest.fixture(scope="module")
def light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with a stand-in for pip and nothing else, to be copied."""
    made = tmp_path_factory.mktemp("light") / "environment"
    subprocess.run([sys.executable, "-m", "venv", made], check=True, env={"PYTHONPATH": str(LIGHT)})
    return made


def project(*libraries: str) -> str:
    """What pyproject.toml says of them."""
    listed = ", ".join(f'"{each}"' for each in libraries)
    return f"[project]\ndependencies = [{listed}]\n[project.optional-dependencies]\n"


class Checkout:
    """A checkout whose only library is a file beside it."""

    def __init__(self, root: Path, light: Path) -> None:
        self.root, self.light = root, light
        root.mkdir()

    def ask_for(self, *libraries: str) -> None:
        (self.root / "pyproject.toml").write_text(project(*libraries))
        if not environment.wanted(self.root).exists():
            shutil.copytree(self.light, environment.wanted(self.root), symlinks=True)

    def ask_for_version(self, version: str) -> None:
        self.ask_for(library(self.root.parent, version))


@pytest.fixture
def checkout(tmp_path: Path, light: Path) -> Checkout:
    made = Checkout(tmp_path / "checkout", light)
    made.ask_for_version("1")
    return made


@pytest.fixture
def root(checkout: Checkout) -> Path:
    return checkout.root


def start(root: Path, script: str, *, python: str = sys.executable, **more: str) -> subprocess.Popen[str]:
    paths = f"{LIGHT}:{CHECKOUT}"
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": paths, "PIP_CONFIG_FILE": os.devnull, **more}
    argv = [python, "-c", script, str(root)]
    return subprocess.Popen(
        argv, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def run(root: Path, script: str = ENTER + TELL, **more: str) -> tuple[int, str, str]:
    process = start(root, script, **more)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, tuple[int, str, str]]:
    """A checkout that had no environment, with the one that was made by the real pip; what was said meanwhile."""
    root = tmp_path_factory.mktemp("first") / "checkout"
    root.mkdir()
    (root / "pyproject.toml").write_text(project(library(root.parent, "1")))
    return root, run(root, PYTHONPATH=str(CHECKOUT))


def test_an_environment_is_made_once_and_is_there_for_work_on_hive_too(
    first: tuple[Path, tuple[int, str, str]],
) -> None:
    root, told = first
    assert told == (0, f"{sys.version_info[1]} 1\n", "hive: making its Python environment (once)…\n")
    assert run(root) == (0, f"{sys.version_info[1]} 1\n", "")
    python = root / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-c", "import tiny; print(tiny.VERSION)"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
    # What else stands in the file changes no library.
    with (root / "pyproject.toml").open("a") as file:
        file.write("\n# a remark\n")
    assert run(root) == (0, f"{sys.version_info[1]} 1\n", "")


def test_of_two_at_once_one_makes_it_and_the_other_waits(root: Path) -> None:
    both = [start(root, ENTER + TELL) for _ in range(2)]
    told = [process.communicate(timeout=PATIENCE) for process in both]
    assert [out for out, _ in told] == [f"{sys.version_info[1]} 1\n"] * 2
    assert "".join(err for _, err in told).count("making its Python") == 1


def test_two_interpreters_make_theirs_at_once(root: Path) -> None:
    run(root)
    # Nothing leads to this one's any more, nor uses it.
    (root / ".venv" / "bin").unlink()
    # What holds the lock of one that is being made, as a slow index does.
    with (root / ".venv" / f"{OWN}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        explicitly = MAKE + "environment.make(Path(sys.argv[1]))"
        other = start(root, explicitly, python=other_python())
        assert other.communicate(timeout=PATIENCE) == ("", "hive: making its Python environment (once)…\n")
        assert other.returncode == 0
    assert environment.ready(root) is not None, "to remove it is not another interpreter's affair"


def test_what_work_on_hive_needs_is_there_with_the_rest_or_added_once(root: Path) -> None:
    tools = "".join(f"{name} = ['{library(root.parent, '1', name)}']\n" for name in ("tool", "bench"))
    with (root / "pyproject.toml").open("a") as file:
        file.write(tools)
    script = MAKE + "environment.make(Path(sys.argv[1]), tuple({!r}.split()))"
    for extras, said in [
        ("tool", "making its Python environment (once)…"),
        ("tool bench", "adding what bench needs…"),
        ("bench tool", ""),
    ]:
        assert run(root, script.format(extras)) == (0, "", said and f"hive: {said}\n")
        held = environment.packages(environment.wanted(root))
        assert all((held / f"{name}.py").is_file() for name in ["tiny", *extras.split()])


def test_an_environment_that_is_used_is_left_as_it_is_and_goes_when_it_no_longer_is(checkout: Checkout) -> None:
    root = checkout.root
    user = start(root, ENTER + "sys.stdout.write('there\\n'); sys.stdout.flush(); sys.stdin.read(); " + TELL)
    assert user.stdout is not None
    assert user.stdout.readline() == "there\n"
    used = environment.ready(root)
    checkout.ask_for_version("2")
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 2\n")
    # It imports only now.
    assert user.communicate(timeout=PATIENCE)[0] == f"{sys.version_info[1]} 1\n"
    checkout.ask_for_version("3")
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 3\n")
    assert used is not None
    assert not used.exists()
    assert [path.name for path in (root / ".venv").glob(f"{OWN}-*")] == [environment.wanted(root).name]
    assert (root / ".venv" / "bin" / "python").exists()


def test_who_locks_an_environment_for_itself_keeps_nobody_from_using_it(root: Path) -> None:
    assert run(root)[0] == 0
    folder = environment.ready(root)
    assert folder is not None
    # No agent that is shown the checkout, as what lies in /opt is, can do so: it cannot open them.
    locks = [folder / "in-use", root / ".venv" / "lock", root / ".venv" / f"{OWN}.lock"]
    assert [stat.S_IMODE(lock.stat().st_mode) for lock in locks] == [0o600] * 3
    with locks[0].open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert run(root)[:2] == (0, f"{sys.version_info[1]} 1\n")
    locks[0].chmod(0o644)
    assert run(root)[0] == 0
    assert stat.S_IMODE(locks[0].stat().st_mode) == 0o600


def test_an_environment_with_tools_for_work_on_hive_stays_until_another_is_chosen(checkout: Checkout) -> None:
    root = checkout.root
    assert run(root)[0] == 0
    chosen = environment.ready(root)
    assert chosen is not None
    (chosen / "extra-test").write_text("a tool")
    checkout.ask_for_version("2")
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 2\n")
    assert (chosen / "bin" / "python").exists()
    assert (root / ".venv" / "bin").resolve() == chosen / "bin"
    environment.choose(root, environment.wanted(root))
    checkout.ask_for_version("3")
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 3\n")
    assert not chosen.exists()


def test_two_interpreters_have_an_environment_each(root: Path) -> None:
    other = other_python()
    assert run(root)[0] == 0
    explicitly = MAKE + "environment.make(Path(sys.argv[1]))"
    assert run(root, explicitly, python=other) == (0, "", "hive: making its Python environment (once)…\n")
    for python in (sys.executable, other, sys.executable, other):
        code, out, err = run(root, python=python)
        assert (code, err) == (0, "")
        assert out.endswith(" 1\n")
    assert len({run(root, python=python)[1] for python in (sys.executable, other)}) == 2
    # The link for work on hive is moved only by who asks for it.
    assert (root / ".venv" / "lib" / f"python{OWN}").is_dir()


# --- timers


@pytest.fixture
def anothers(root: Path) -> Path:
    """What stands for an environment of another interpreter; its program says how it was called."""
    folder = root / ".venv" / "3.99-00000000"
    (folder / "bin").mkdir(parents=True)
    (folder / "in-use").touch()
    (folder / "bin" / "python").write_text('#!/bin/sh\necho another: "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    (root / ".venv" / "3.99.stamp").write_text(f"{folder.name}\n{(root / 'pyproject.toml').read_text()}")
    return folder


def test_a_timer_with_another_python_runs_by_the_one_that_is_ready(root: Path, anothers: Path) -> None:
    assert run(root) == (0, f"another: -c {root}\n", "")
    assert environment.ready(root) is None


def test_at_a_terminal_the_interpreter_that_was_called_gets_its_own(root: Path, anothers: Path) -> None:
    terminal, inner = pty.openpty()
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT), "PIP_CONFIG_FILE": os.devnull}
    argv = [sys.executable, "-c", ENTER + TELL, str(root)]
    done = subprocess.run(argv, env=variables, stderr=inner, stdout=subprocess.PIPE, text=True, check=True)
    os.close(inner)
    os.close(terminal)
    assert done.stdout == f"{sys.version_info[1]} 1\n"


@pytest.mark.parametrize("fault", ["other libraries", "its Python is gone"])
def test_an_environment_that_is_not_ready_runs_nobody(checkout: Checkout, anothers: Path, fault: str) -> None:
    version = 2 if fault == "other libraries" else 1
    if version == 2:
        checkout.ask_for_version("2")
    else:
        (anothers / "bin" / "python").unlink()
    code, out, _ = run(checkout.root)
    assert (code, out) == (0, f"{sys.version_info[1]} {version}\n")


# --- what can go wrong


@pytest.mark.parametrize("answering", [True, False], ids=["refused", "silent"])
def test_without_a_network_a_sentence_says_so(
    checkout: Checkout, first: tuple[Path, tuple[int, str, str]], answering: bool
) -> None:
    root = checkout.root
    (root / "pyproject.toml").write_text(project("tiny"))
    # With the real pip, and nothing else.
    only = shutil.ignore_patterns("tiny*", "made", "in-use")
    shutil.copytree(environment.wanted(first[0]), environment.wanted(root), symlinks=True, ignore=only)
    with socket.create_server(("127.0.0.1", 0)) as index:
        place = f"http://127.0.0.1:{index.getsockname()[1]}/simple"
        if answering:
            index.close()
        script = MAKE + f"environment.make(Path(sys.argv[1]), patience={PATIENCE if answering else 3})"
        code, out, err = run(root, script, PIP_INDEX_URL=place)
    assert (code, out) == (1, "")
    assert "hive: its libraries could not be installed" in err
    assert "Is there a network" in err
    assert "Traceback" not in err
    checkout.ask_for_version("1")
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 1\n")


def test_an_environment_that_was_left_half_made_is_made_anew(root: Path) -> None:
    half = environment.packages(environment.wanted(root))
    (environment.wanted(root) / "bin" / "pip").unlink()
    (half / "tiny.py").write_text("VERSION = 'half'\n")
    (half / "left.py").touch()
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 1\n")
    assert not (half / "left.py").exists()


def test_an_environment_that_was_removed_is_made_anew(checkout: Checkout) -> None:
    run(checkout.root)
    shutil.rmtree(environment.wanted(checkout.root))
    checkout.ask_for_version("1")
    assert run(checkout.root)[:2] == (0, f"{sys.version_info[1]} 1\n")


def test_an_environment_of_before_is_taken_over_and_its_paths_lead_there(root: Path, light: Path) -> None:
    before = root / ".venv"
    shutil.rmtree(before)
    shutil.copytree(light, before, symlinks=True)
    (environment.packages(before) / "mine.py").touch()
    assert run(root)[:2] == (0, f"{sys.version_info[1]} 1\n")
    assert (environment.packages(environment.wanted(root)) / "mine.py").exists()
    assert (environment.packages(before) / "mine.py").exists()


def test_a_library_that_is_missing_is_told_with_what_to_do() -> None:
    error = ModuleNotFoundError("No module named 'typer'", name="typer")
    damaged = re.escape(str(environment.ready(CHECKOUT)))
    with pytest.raises(SystemExit, match=rf"{damaged} is damaged: No module named 'typer'. Remove that folder"):
        lacking(CHECKOUT, error)
    with pytest.raises(ModuleNotFoundError):
        lacking(CHECKOUT, ModuleNotFoundError("No module named 'hive_core.x'", name="hive_core.x"))
