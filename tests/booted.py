"""A machine with systemd, booted in a container of systemd-nspawn: for tests of what only a service manager does.

Its system is made once by mmdebstrap, and kept in the folder for temporary files for every run to come; each machine
reads most of it there, and has a copy of what it may write to. What needs one takes the fixture `booted_machine`, one
for its module; where the programs are missing it is skipped.
"""

from __future__ import annotations

import fcntl
import inspect
import json
import os
import queue
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import tomllib
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from hive_core.containers.local import cgroups
from tests.hives import CHECKOUT, PATIENCE, eventually
from tests.needs import requires
from tests.users import _COPIED, _STAMP

SUITE = "trixie"
PACKAGES = [
    "systemd",
    "systemd-sysv",
    "systemd-container",
    "dbus",
    "dbus-user-session",
    "libpam-systemd",
    "python3",
    "git",
    "bubblewrap",
    "util-linux",
    "procps",
    "nix-bin",
    # For tests that are run in it.
    "python3-pytest",
    # libgit2 does not begin without.
    "ca-certificates",
]
# Where the system is kept. What tests write beside lies in memory, and ends with them.
KEPT = Path(os.environ.get("HIVE_TEST_KEPT") or tempfile.gettempdir())
# Where a machine has hive.
PLACE = "/opt/hive"
LIBRARIES = "/opt/libraries"
# The parts of its system that a machine may read alone.
SHOWN = ("usr/bin", "usr/lib", "usr/sbin", "usr/share", LIBRARIES.lstrip("/"))
# Where hive has what is compiled.
COMPILED = f"{PLACE}/.venv/pycache"
# Its plain user, who may run services without a login.
USER, UID = "person", 1000

needs_booted = requires("systemd-nspawn", "mmdebstrap")


def system() -> Path:
    """The folder of the system that all machines have; made where there is none for what is wanted now."""
    libraries = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["dependencies"]
    digits = zlib.crc32(json.dumps([SUITE, PACKAGES, libraries, inspect.getsource(_make)]).encode())
    kept = KEPT / f"hive-test-system-{digits:08x}"
    with (kept.with_suffix(".lock")).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            making = kept.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            _make(making, libraries)
            making.rename(kept)
    assert kept.stat().st_uid == os.getuid(), "somebody else's, who could have anything in it"
    return kept


def _make(folder: Path, libraries: list[str]) -> None:
    """Make a Debian with systemd and what hive needs, its libraries included, and a plain user."""
    _do("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(folder))
    version = _do("chroot", str(folder), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    wheels = ["--only-binary=:all:", "--implementation=cp", f"--python-version={version}"]
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-compile"]
    _do(*pip, *wheels, f"--target={folder}/opt/libraries", *libraries)
    _compile(folder, "/opt/libraries")
    _do("chroot", str(folder), "useradd", "--create-home", f"--uid={UID}", USER)
    # As `loginctl enable-linger` leaves it.
    (folder / "var/lib/systemd/linger").mkdir(parents=True, exist_ok=True)
    (folder / f"var/lib/systemd/linger/{USER}").touch()
    # Each machine has one of its own.
    (folder / "etc/machine-id").write_text("")


def _compile(root: Path, *places: str) -> None:
    """Compile for the machine's own Python: a plain user's would else compile all of it at each start."""
    _do("chroot", str(root), "python3", "-m", "compileall", "-q", *places)


def _do(*argv: str, **more: object) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)  # type: ignore[call-overload]
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
    return str(done.stdout)


def put_hive(machine: BootedMachine) -> None:
    """Have a machine hold hive as it lies here, with its libraries, in a checkout of its own."""
    place = machine.root / PLACE.lstrip("/")
    place.mkdir(parents=True, exist_ok=True)
    for name in _COPIED:
        original = CHECKOUT / name
        if original.is_dir():
            shutil.copytree(original, place / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(original, place / name)
    own = ["git", "-C", str(place), "-c", "core.compression=0", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "As it is"]):
        _do(*own, *words)
    script = "from hive_core.environment import packages, wanted; from pathlib import Path; import os\n"
    script += f"target = packages(wanted(Path({PLACE!r}))); target.parent.mkdir(parents=True)\n"
    script += f"target.symlink_to(os.path.relpath({LIBRARIES!r}, target.parent)); (target.parents[2] / 'bin').mkdir()\n"
    inside = ["env", "-C", PLACE, "python3", "-c"]
    machine.do(*inside, script)
    machine.do(*inside, _STAMP, PLACE)
    # What hive compiles it keeps there, whoever comes first: once, and not at each start.
    compiled = machine.root / COMPILED.lstrip("/")
    compiled.mkdir()
    os.chown(compiled, UID, UID)
    (machine.root / "usr/local/bin/hive").symlink_to(f"{PLACE}/hive")


class BootedMachine:
    """A machine that runs. leader: its first process, as it is numbered here."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.leader = folder, 0
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.bind(str(folder / "notify"))
        version_2, _ = cgroups._hierarchies()
        assert version_2 is not None, "a machine needs control groups of version 2"
        self._group = Path(version_2[1]) / f"hive-test-machine-{os.getpid()}"
        self._words: queue.Queue[str] = queue.Queue()
        # All of it is read, and at once: who tells waits for that, and that is the machine's first process.
        self._hearing = threading.Thread(target=self._hear, name="notify", daemon=True)
        self._hearing.start()
        self._nspawn: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """The folder of its system."""
        return self._folder / "machine"

    def inside(self, path: str) -> Path:
        """Where a path of the running machine's is found here, its mounts included."""
        return Path(f"/proc/{self.leader}/root{path}")

    def boot(self) -> None:
        """Switch it on; it is there when everything was started that is to be."""
        self._group.mkdir(exist_ok=True)
        # Or two machines at once would have their services in the same groups.
        grouped = ["sh", "-c", 'echo $$ >"$0/cgroup.procs"; exec "$@"', str(self._group)]
        argv = ["systemd-nspawn", "--boot", f"--directory={self._folder}/machine", f"--machine=hive-test-{os.getpid()}"]
        # Nothing of this machine's own service manager, if it has one, is asked.
        alone = ["--register=no", "--keep-unit", "--private-network", "--notify-ready=yes", "--console=pipe"]
        # Nobody asks for what these find; each reads all there is at every reload.
        alone += [f"--setenv=SYSTEMD_{kind}GENERATOR_PATH=/none" for kind in ("", "ENVIRONMENT_")]
        alone += [f"--bind-ro={system()}/{part}:/{part}" for part in SHOWN]
        told = {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1", "NOTIFY_SOCKET": str(self._folder / "notify")}
        # Its filter of calls makes each of them dearer; whoever is in there is to be kept from nothing.
        told["SYSTEMD_SECCOMP"] = "0"
        with (self._folder / "console").open("ab") as console:
            self._nspawn = subprocess.Popen(
                [*grouped, *argv, *alone],
                env={**os.environ, **told},
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        self._wait()

    def _hear(self) -> None:
        while data := self._told.recv(4096):
            for word in data.decode().split("\n"):
                self._words.put(word)

    def _wait(self) -> None:
        """Wait for what nspawn tells of the machine: who is its first process, and that it is up."""
        self.leader, ready = 0, False
        while not (ready and self.leader):
            word = self._words.get(timeout=PATIENCE)
            if word.startswith("X_NSPAWN_LEADER_PID="):
                # What was told before is of the boot before.
                self.leader, ready = int(word.partition("=")[2]), False
            ready |= word == "READY=1"

    def do(
        self,
        *argv: str,
        code: int = 0,
        user: bool = False,
        environment: Mapping[str, str] | None = None,
        patience: float = 5 * PATIENCE,
    ) -> str:
        """Run a command to its end, as root or as the plain user; what it wrote. Its environment is a bare one."""
        variables = {
            "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin",
            "HOME": f"/home/{USER}" if user else "/root",
        }
        if user:
            variables["XDG_RUNTIME_DIR"] = f"/run/user/{UID}"
        pairs = [f"{name}={value}" for name, value in {**variables, **(environment or {})}.items()]
        become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--init-groups"] if user else []
        inside = ["nsenter", f"--target={self.leader}", "-m", "-u", "-i", "-n", "-p", "-C"]
        full = [*inside, *become, "env", "-i", "-C", "/", *pairs, *argv]
        done = subprocess.run(full, capture_output=True, text=True, check=False, timeout=patience)
        assert done.returncode == code, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def test(self, *arguments: str, environment: Mapping[str, str]) -> None:
        """Run tests of this checkout in it, none of which is skipped; fails with what they print."""
        (libraries,) = (self.root / PLACE.lstrip("/") / ".venv").glob("*/lib/*/site-packages")
        inside = f"/{libraries.relative_to(self.root)}"
        argv = ["env", "-C", PLACE, "python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
        told = {"CI": "1", "PYTHONPATH": f"{PLACE}:{inside}", "PYTHONPYCACHEPREFIX": COMPILED}
        self.do(*argv, environment={**told, **environment}, patience=20 * PATIENCE)

    def reboot(self) -> None:
        """Restart the machine."""
        self.do("systemctl", "reboot", "--no-block")
        assert self._nspawn is not None
        # So it ends where it is to be started again.
        assert self._nspawn.wait(5 * PATIENCE) == 133
        self.boot()

    def end(self) -> None:
        """Switch it off, without waiting for what runs in it."""
        if self._nspawn is not None:
            if self.leader and self._nspawn.poll() is None:
                # With the first process of a namespace all the others end.
                os.kill(self.leader, signal.SIGKILL)
            else:
                self._nspawn.kill()
            self._nspawn.wait()
        # Where groups of version 1 are in use, nspawn makes one of the same name there.
        older = Path("/sys/fs/cgroup/systemd").glob(f"{self._group.name}/**/")
        for group in sorted([*self._group.glob("**/"), *older], reverse=True):
            eventually(lambda group=group: not (group / "cgroup.procs").read_text())
            group.rmdir()
        # An empty word ends the thread that listens.
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.connect(str(self._folder / "notify"))
            last.send(b"")
        self._hearing.join()
        self._told.close()


def _lay_out(root: Path) -> None:
    """Copy what a machine may write to; most of its system is shown to it as it is kept."""
    kept = system()
    for part in SHOWN:
        (root / part).mkdir(parents=True)
    above = {Path(part).parts[0] for part in SHOWN}
    parts = [part.name for part in kept.iterdir() if part.name not in above]
    parts += [
        f"{top}/{part.name}" for top in above for part in (kept / top).iterdir() if f"{top}/{part.name}" not in SHOWN
    ]
    _do("cp", "-a", "--parents", *parts, str(root), cwd=kept)
    # By this nspawn knows a system.
    shutil.copy(kept / "usr/lib/os-release", root / "usr/lib")


def _as_it_is(_root: Path) -> None:
    """Leave a system as it is."""


@contextmanager
def booted(prepare: Callable[[Path], object] = _as_it_is) -> Iterator[BootedMachine]:
    """A machine that has hive, for as long as the block runs. prepare: is given its system before that is booted."""
    folder = Path(tempfile.mkdtemp(prefix="hive-booted-"))
    folder.chmod(stat.S_IRWXU)
    try:
        _lay_out(folder / "machine")
        prepare(folder / "machine")
        machine = BootedMachine(folder)
        try:
            machine.boot()
            put_hive(machine)
            yield machine
        finally:
            machine.end()
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def booted_machine() -> Iterator[BootedMachine]:
    """A machine with hive, booted once for a module."""
    with booted() as made:
        yield made
