"""The checkout's own Python environments in `.venv`: one for each interpreter, none changed under a process.

3.11.stamp                  which folder Python 3.11 uses, and the pyproject.toml that it was made for
3.11-1f2e3d4c/              an environment; the digits stand for the libraries that it was made for
bin, lib, pyvenv.cfg        links into the one that was chosen for work on hive itself: .venv/bin/python
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from hive_agent import atomic

# Seconds in which the package index must have answered, before anything is installed.
PATIENCE = 30
# What whoever uses an environment holds a lock on.
IN_USE = "in-use"
_LINKS = ("bin", "lib", "pyvenv.cfg")


def enter(root: Path) -> None:
    """Make the libraries importable; make the environment first where there is none for what pyproject.toml asks for.

    No timer waits for that: without a terminal an environment of another interpreter is taken, if one is there.
    """
    folder = _held(root)
    if folder is None:
        if not sys.stderr.isatty():
            _run_by_another(root)
        make(root, patience=PATIENCE)
        folder = _held(root)
        assert folder is not None, "the environment that was just made is not there"
    # Appended, and not by re-executing: the second start would cost as much as the command itself.
    sys.path.append(str(packages(folder)))


def lacking(root: Path, error: ModuleNotFoundError) -> NoReturn:
    """End with what to do about a library that the environment should hold."""
    if (error.name or "").startswith("hive"):
        raise error
    damaged = ready(root) or root / ".venv"
    sys.exit(f"hive: {damaged} is damaged: {error}. Remove that folder; the next call makes it anew.")


def ready(root: Path) -> Path | None:
    """The folder of this interpreter's environment; None unless it was made for what pyproject.toml asks for."""
    return _stamped(root, _stamp(root), (root / "pyproject.toml").read_text())


def packages(folder: Path) -> Path:
    """Where the libraries of an environment are."""
    return folder / "lib" / f"python{_version()}" / "site-packages"


def make(root: Path, extras: tuple[str, ...] = (), *, patience: float | None = None) -> Path:
    """Make this interpreter's environment where it is missing, and have it hold what the `extras` name, too.

    patience: seconds in which the package index must have answered; None for as long as pip itself waits.
    Ends with a sentence where it cannot be made.
    """
    if not os.access(root, os.W_OK):
        sys.exit(f"hive: {root} belongs to somebody else, and is not made ready for you: make your own clone.")
    try:
        (root / ".venv").mkdir(exist_ok=True)
        with _links(root):
            _adopt_older(root, wanted(root))
        with _alone(
            root / ".venv" / f"{_version()}.lock", "waiting for another hive that makes its Python environment"
        ):
            return _make(root, extras, patience)
    except OSError as error:
        sys.exit(f"hive: could not make its Python environment: {error.filename}: {error.strerror}.")


def choose(root: Path, folder: Path) -> None:
    """Have `.venv/bin/python` be this environment's."""
    with _links(root):
        _link(root, folder)


def stamp(root: Path, folder: Path) -> None:
    """Say that this environment holds what pyproject.toml asks for."""
    (folder / IN_USE).touch(0o600)
    atomic.write(_stamp(root), f"{folder.name}\n{(root / 'pyproject.toml').read_text()}")


def wanted(root: Path) -> Path:
    """The folder of the environment that this interpreter needs."""
    import zlib

    digits = zlib.crc32("\n".join(_libraries(root)).encode())
    return root / ".venv" / f"{_version()}-{digits:08x}"


def _version() -> str:
    """As the folder of an interpreter's libraries is called: libraries for 3.13t are others than those for 3.13."""
    return f"{sys.version_info[0]}.{sys.version_info[1]}{sys.abiflags}"


def _stamp(root: Path) -> Path:
    return root / ".venv" / f"{_version()}.stamp"


def _stamped(root: Path, file: Path, asked_for: str) -> Path | None:
    try:
        name, _, made_for = file.read_text().partition("\n")
    except FileNotFoundError:
        return None
    folder = root / ".venv" / name
    return folder if made_for == asked_for and (folder / IN_USE).is_file() else None


def _held(root: Path) -> Path | None:
    """This interpreter's environment if it is ready; nobody removes it as long as this process is there."""
    import fcntl

    while (folder := ready(root)) is not None:
        try:
            held = os.open(folder / IN_USE, os.O_RDONLY | os.O_CLOEXEC)
            _close_to_others(held)
            fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except PermissionError:
            break  # It is another user's, whose own processes hold it.
        except (FileNotFoundError, BlockingIOError):
            # One that is being removed is not the newest. Who locks that means no good: it is used without being held.
            if ready(root) == folder:
                break
        else:
            break
    return folder


def _close_to_others(lock: int) -> None:
    """Have nobody else be able to lock a file, which they can whenever they may read it (flock(2)).

    Every agent is shown what lies in /opt.
    """
    status = os.fstat(lock)
    if status.st_mode & 0o077 and status.st_uid == os.geteuid():
        with suppress(OSError):  # A file system that is only read.
            os.fchmod(lock, 0o600)


def _run_by_another(root: Path) -> None:
    """Go on as another interpreter whose environment is ready; return where there is none."""
    if Path(sys.prefix).is_relative_to(root / ".venv"):
        return
    asked_for = (root / "pyproject.toml").read_text()
    for file in sorted((root / ".venv").glob("*.stamp")):
        folder = _stamped(root, file, asked_for)
        if folder is not None and os.access(folder / "bin" / "python", os.X_OK):
            os.execv(folder / "bin" / "python", [str(folder / "bin" / "python"), *sys.argv])  # noqa: S606


@contextmanager
def _alone(file: Path, waiting: str = "") -> Iterator[None]:
    """Hold a lock on a file. waiting: what is said where somebody else does."""
    import fcntl

    with file.open("w") as lock:
        _close_to_others(lock.fileno())
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.stderr.write(f"hive: {waiting}\n" if waiting else "")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _links(root: Path) -> AbstractContextManager[None]:
    """Hold what all interpreters share: the links. Each makes its own environment beside the others."""
    return _alone(root / ".venv" / "lock")


def _link(root: Path, folder: Path) -> None:
    for name in _LINKS:
        atomic.link(root / ".venv" / name, f"{folder.name}/{name}")


def _make(root: Path, extras: tuple[str, ...], patience: float | None) -> Path:
    folder = wanted(root)
    if ready(root) != folder:
        if not (folder / "made").exists():
            sys.stderr.write("hive: making its Python environment (once)…\n")
            _create(folder)
            _add(root, folder, extras, patience)
            (folder / "made").touch()
        stamp(root, folder)
        _choose_again(root, folder)
        _remove_unused(root, {folder, _chosen(root)})
    lacking = [extra for extra in extras if not _has(root, folder, extra)]
    if lacking:
        sys.stderr.write(f"hive: adding what {' and '.join(lacking)} needs…\n")
        _create(folder)
        _add(root, folder, lacking, patience)
    return folder


def _has(root: Path, folder: Path, extra: str) -> bool:
    held = folder / f"extra-{extra}"
    return held.exists() and held.read_text().splitlines() == _libraries(root, extra)


def _add(root: Path, folder: Path, extras: Sequence[str], patience: float | None) -> None:
    """Have an environment hold hive's own libraries and what the extras name, all by one call of pip.

    What is there already is named again, so that nothing of it is exchanged.
    """
    named = {extra: _libraries(root, extra) for extra in extras}
    _install(folder, [*_libraries(root), *(library for libraries in named.values() for library in libraries)], patience)
    for extra, libraries in named.items():
        (folder / f"extra-{extra}").write_text("\n".join(libraries))


def _chosen(root: Path) -> Path | None:
    """The environment that the links lead to, if it is there."""
    link = root / ".venv" / "bin"
    folder = root / ".venv" / link.readlink().parent if link.is_symlink() else None
    return folder if folder is not None and (folder / "bin" / "python").exists() else None


def _choose_again(root: Path, folder: Path) -> None:
    """Have the links follow to a new environment, unless they lead to one that holds what work on hive needs."""
    # Another interpreter's may be chosen meanwhile, by who works on hive.
    with _links(root):
        chosen = _chosen(root)
        if chosen is None or (chosen.name.startswith(f"{_version()}-") and not any(chosen.glob("extra-*"))):
            _link(root, folder)


def _create(folder: Path) -> None:
    """Make an environment with pip and nothing else; one that is there gets this interpreter where it lost its own."""
    import shutil
    import subprocess

    if os.access(folder / "bin" / "python", os.X_OK) and (folder / "bin" / "pip").exists():
        return
    again = ["--upgrade"] if (folder / "made").exists() else ["--clear"]
    made = subprocess.run([sys.executable, "-m", "venv", *again, folder], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        if "--clear" in again:
            shutil.rmtree(folder, ignore_errors=True)
        sys.exit(_without_venv(made.stdout + made.stderr))


def _install(folder: Path, libraries: list[str], patience: float | None) -> None:
    import subprocess

    pip = [str(folder / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    try:
        if patience is not None:
            # Asked for one library first: left to itself pip tries for minutes, without a word.
            asked = [*pip, "--timeout", "5", "--retries", "1", "install", "--dry-run", "--no-deps", libraries[0]]
            subprocess.run(asked, capture_output=True, text=True, check=True, timeout=patience)
        subprocess.run([*pip, "install", *libraries], capture_output=True, text=True, check=True)
    except subprocess.TimeoutExpired:
        _end_without_libraries(folder, "the package index gives no answer")
    except subprocess.CalledProcessError as error:
        said = [line.removeprefix("ERROR: ") for line in error.stderr.splitlines() if line.startswith("ERROR: ")]
        _end_without_libraries(folder, "\n".join(said) or error.stderr)


def _end_without_libraries(folder: Path, why: str) -> NoReturn:
    sys.exit(
        f"hive: its libraries could not be installed: {why}\n"
        "Is there a network, and room on the disk? The next call tries again.\n"
        f"What waits longer for a slow network: cd {folder.parent.parent} && {sys.executable} -m hive_core.environment"
    )


def _remove_unused(root: Path, kept: set[Path | None]) -> None:
    """Remove what this interpreter used before and no process uses any more."""
    import fcntl
    import shutil

    for older in (root / ".venv").glob(f"{_version()}-*"):
        if older in kept:
            continue
        with (older / IN_USE).open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            shutil.rmtree(older)


def _adopt_older(root: Path, folder: Path) -> None:
    """Take over an environment that lies in `.venv` itself, as all did once; whoever uses it keeps its paths."""
    top = root / ".venv"
    if folder.exists() or (top / "lib").is_symlink() or not packages(top).is_dir():
        return
    folder.mkdir()
    for name in ("lib64", "include", *_LINKS):
        if (top / name).exists():
            (top / name).rename(folder / name)
    for old in top.glob("stamp*"):
        old.unlink()
    _link(root, folder)


def _libraries(root: Path, extra: str = "") -> list[str]:
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    libraries: list[str] = project["optional-dependencies"][extra] if extra else project["dependencies"]
    return libraries


def _without_venv(output: str) -> str:
    if "ensurepip" in output:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        return (
            "hive: this Python cannot make an environment, because its venv package is missing.\n"
            f"On Debian or Ubuntu: sudo apt-get install python3-venv   (or python{version}-venv), then call hive again."
        )
    return f"hive: could not make the environment:\n{output}"


if __name__ == "__main__":  # python3 -m hive_core.environment test: what ./tests/run needs; prints where it is
    checkout = Path(__file__).resolve().parent.parent
    chosen = make(checkout, tuple(sys.argv[1:]))
    choose(checkout, chosen)
    sys.stdout.write(f"{chosen}\n")
