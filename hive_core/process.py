"""Programs and processes: the one place that runs a program, and how a process is known again."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from hive_core.errors import ProgramFailed, TookTooLong, WroteTooMuch
from hive_core.transaction import never_inside

# On NixOS all of the system's programs are found by this link into the store, and none in /usr.
NIXOS = Path("/run/current-system")
SAFE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" + (
    f":{NIXOS}/sw/bin" if NIXOS.is_symlink() else ""
)


class Owner(NamedTuple):
    """A process, told apart from every other that ever had its number on any boot of the machine."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> Owner | None:
        """The process that has `pid` now, or None. A zombie counts as gone."""
        started = _start_ticks(pid)
        return None if started is None else cls(pid, started, boot_id())

    @classmethod
    def current(cls) -> Owner:
        owner = cls.of(os.getpid())
        assert owner is not None, "/proc does not show this process"
        return owner

    @classmethod
    def from_json(cls, text: str) -> Owner:
        fields = json.loads(text)
        return cls(int(fields["pid"]), int(fields["started"]), str(fields["boot"]))

    def to_json(self) -> str:
        return json.dumps({"pid": self.pid, "started": self.started, "boot": self.boot})

    def alive(self) -> bool:
        return Owner.of(self.pid) == self


def fields_of(pid: int) -> list[bytes] | None:
    """What the kernel says of a process (proc(5), stat) from its state on; None where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name is in parentheses and may hold anything; what follows the last ')' is fixed.
    return stat[stat.rindex(b")") + 2 :].split()


def used_by(pid: int) -> float | None:
    """Seconds of the processor that a process, and children it has waited for, have used; None where it is gone."""
    fields = fields_of(pid)
    return None if fields is None else sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def lines_of(pid: int, file: str) -> list[str]:
    """The lines of a file of a process (proc(5)); none where there is none.

    Anybody may have named what stands in them: no character but the line break ends a line there, whatever Python says.
    """
    try:
        data = Path(f"/proc/{pid}/{file}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return data.removesuffix(b"\n").decode(errors="surrogateescape").split("\n") if data else []


def shows_removed(pid: int, target: str) -> bool | None:
    """Whether a process sees, at `target`, a folder that has been removed since; None where nothing is mounted there.

    Linux says so where it lists a process's mounts (proc(5), mountinfo): what is gone has `//deleted` at its end.
    """
    mounts = [line.split(" ") for line in lines_of(pid, "mountinfo")]
    roots = [fields[3] for fields in mounts if fields[4] == target]
    return roots[-1].endswith("//deleted") if roots else None


def _start_ticks(pid: int) -> int | None:
    fields = fields_of(pid)
    return None if fields is None or fields[0] in (b"Z", b"X") else int(fields[19])


@cache
def boot_id() -> str:
    """What tells this boot of the machine from every other."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


# Bytes of what a program gives; an agent's whole journal is less.
MOST = 64 * 2**20


class Completed(NamedTuple):
    """What a program did: its exit code, and what it wrote; of stderr, where that is long, the head and the tail."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


@never_inside
def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 600.0,
    most: int = MOST,
    check: bool = True,
    text: str | None = None,
    under_us: str | None = None,
) -> Completed:
    """Run a program to its end, in an environment that holds only `env`.

    timeout: seconds after which it is killed. most: bytes of stdout after which it is, for a part is of no use.
    text: its standard input; without one it has none. under_us: the signal, as setpriv(1) has it, by which it ends
    where this process dies; it alone, and not what it starts. Raises ProgramFailed with argv, code and what it wrote
    when it cannot be run, takes too long or writes too much, or (with `check`) exits non-zero.
    """
    # Imported here: most commands run no program, and plumbum takes longer to import than they take to run.
    from shutil import which
    from subprocess import DEVNULL, TimeoutExpired

    from plumbum import local

    from hive_core.human import size
    from hive_core.program_output import TooMuch, read

    environment = {"PATH": os.environ.get("PATH", SAFE_PATH), "LC_ALL": "C.UTF-8", **(env or {})}
    # plumbum looks where the PATH led when it was imported.
    program = which(argv[0], path=environment["PATH"])
    if program is None:
        raise ProgramFailed(f"{argv[0]} is not installed, or not on the PATH.")
    # env(1) clears the environment: plumbum's own is one for the whole process, threads and all.
    pairs = [f"{name}={value}" for name, value in environment.items()]
    under = [] if under_us is None else _under(which("setpriv", path=environment["PATH"]), under_us)
    command = local["/usr/bin/env"]["-i", pairs, under, program, list(argv[1:])]
    given: Any = command if text is None else command << text
    source = {"stdin": DEVNULL} if text is None else {}
    process = given.popen(cwd=None if cwd is None else str(cwd), **source)
    told = f"`{' '.join(argv)}`"
    try:
        stdout, stderr = read(process, most, timeout)
    except TimeoutExpired as error:
        raise TookTooLong(f"{told} took longer than {timeout:g} seconds and was killed.") from error
    except TooMuch as error:
        raise WroteTooMuch(f"{told} wrote more than {size(most)} and was killed.") from error
    done = Completed(tuple(argv), process.returncode, stdout, stderr)
    if check and done.code != 0:
        raise ProgramFailed(failure(done))
    return done


def _under(setpriv: str | None, kill: str) -> list[str]:
    """What a program is called by that ends with this process. Without setpriv it lives on."""
    # A shell reads $PPID as it starts, after the signal was asked for: whose caller is dead by then is not begun.
    there = 'test "$PPID" = "$0" && exec "$@"'
    return [setpriv, "--pdeathsig", kill, "--", "/bin/sh", "-c", there, str(os.getpid())] if setpriv else []


def failure(done: Completed) -> str:
    """Tell how a program failed: its argv, its code, and what it wrote, indented."""
    parts = [f"`{' '.join(done.argv)}` ended with code {done.code}"]
    for name, text in (("stdout", done.stdout), ("stderr", done.stderr)):
        if text.strip():
            body = "\n".join(f"    {line}" for line in text.strip().splitlines())
            parts.append(f"{name}:\n{body}")
    return "\n".join(parts)
