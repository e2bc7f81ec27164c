"""The sandboxes a machine may offer: what a container sees, and the argv that makes it so, as data."""

from __future__ import annotations

import enum
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hive_core.containers.local import scripts
from hive_core.containers.private import Private
from hive_core.errors import HiveError
from hive_core.process import NIXOS, SAFE_PATH

# What programs need to know of the machine; nothing with a secret in it, so neither shadow nor ssh nor ssl/private.
ETC = (
    "passwd",
    "group",
    "hosts",
    "host.conf",
    "hostname",
    "resolv.conf",
    "nsswitch.conf",
    "gai.conf",
    "services",
    "protocols",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "ssl/certs",
    "ssl/openssl.cnf",
    "ssl/cert.pem",
    "ca-certificates",
    "ca-certificates.conf",
    "pki/ca-trust",
    "pki/tls/certs",
    "localtime",
    "timezone",
    "alternatives",
    "mime.types",
    "os-release",
    "locale.alias",
    "profile",
    "bash.bashrc",
    "terminfo",
    "gitconfig",
)
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
# Folders of the system that a view may not replace.
_TAKEN = ("/usr", "/etc", "/proc", "/dev", "/sys", "/nix", "/opt", "/tmp", *_SYSTEM)  # noqa: S108
_HARMLESS = ("--no-new-privs", "--inh-caps=-all", "--bounding-set=-all")


class Sandbox(enum.Enum):
    """What keeps an agent from the rest of the machine."""

    BWRAP = "bwrap"
    UNSHARE = "unshare"
    NONE = "none"

    @property
    def sentence(self) -> str:
        """What it means, for `hive doctor`."""
        return _SENTENCES[self]


_SENTENCES = {
    Sandbox.BWRAP: "bubblewrap: an agent sees the system read-only and its own folders, and no other process.",
    Sandbox.UNSHARE: "unshare(1), mount(8) and pivot_root(8): an agent sees the system read-only and its own folders,"
    " and no other process. bubblewrap does the same with less: apt-get install bubblewrap.",
    Sandbox.NONE: "NONE: nothing but file permissions keeps an agent from this machine's files and processes."
    " Install bubblewrap (apt-get install bubblewrap).",
}


@dataclass(frozen=True, slots=True)
class Inside:
    """What a container is: the one description that every form of argv is made from.

    uid: the user (and group) its processes run as, None for our own. read_write, read_only: path inside -> folder
    or file on the machine. environment: all of it. root: an empty folder of ours that the unshare form mounts its
    root on. private: what is hidden wherever it lies.
    terminal: whether it is the leader of a session with a terminal of its own, and must stay so for Ctrl-C to reach it.
    """

    name: str
    uid: int | None
    command: tuple[str, ...]
    environment: Mapping[str, str]
    read_write: Mapping[str, str]
    read_only: Mapping[str, str]
    root: str
    private: Private
    workdir: str = "/state"
    terminal: bool = False


def defaults(path: str = SAFE_PATH) -> dict[str, str]:
    """The environment every container begins with."""
    return {"HOME": "/state", "PATH": path, "TERM": "dumb", "LANG": "C.UTF-8"}


def check(inside: Inside) -> None:
    """Raise HiveError for a description that would show more than it says, or cannot be."""
    if os.geteuid() == 0 and not inside.uid:
        raise HiveError(f"{inside.name} would run as root.", "As root, hive gives every agent a user of its own.")
    if os.geteuid() != 0 and inside.uid not in (None, os.geteuid()):
        raise HiveError(f"{inside.name} cannot run as user {inside.uid}: only root can do that.")
    shown = {**inside.read_write, **inside.read_only}
    for target, source in shown.items():
        if not target.startswith("/") or os.path.normpath(target) != target or target in ("/", "/run"):
            raise HiveError(f"{target!r} is not a path a container can have a folder at.")
        if any(target == taken or target.startswith(f"{taken}/") for taken in _TAKEN):
            raise HiveError(f"{target} is the system's in a container; nothing else can be shown there.")
        # A mount point within a shown folder would have to be made there, where an agent may have set a link.
        if any(other != target and target.startswith(f"{other}/") for other in shown):
            raise HiveError(f"{target} lies within another folder that {inside.name} is shown.")
        # A link on the way could have been set by an agent, to have any folder of the machine shown.
        if not (Path(source).is_dir() or Path(source).is_file()) or os.path.realpath(source) != source:
            raise HiveError(f"{source}, to be seen as {target} by {inside.name}, is not a real folder or file.")
        if (reason := inside.private.why_not(Path(source))) is not None:
            raise HiveError(f"{source} cannot be shown to {inside.name}: {reason}.")


def outer_environment(inside: Inside) -> dict[str, str]:
    """The environment of the programs that build the sandbox, some of them as root.

    The container's own (LD_PRELOAD!) goes through them as values of names that mean nothing; the last step, already
    without any privilege, gives them their names back. So it is in no argv either, which any user could read.
    """
    pairs = [f"{name}={value}" for name, value in sorted(inside.environment.items())]
    return {"PATH": SAFE_PATH, **{f"HIVE_{number}": pair for number, pair in enumerate(pairs)}}


def _final(inside: Inside, workdir: str) -> list[str]:
    """The last step: the working folder, the environment, then the program, whose exec is told on descriptor 3."""
    count = str(len(inside.environment))
    prologue = ["/bin/sh", "-c", scripts.PROLOGUE, "hive", workdir, count]
    return [*prologue, "/bin/sh", "-c", scripts.EXEC, "hive", *inside.command]


def _become(uid: int) -> list[str]:
    return ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", *_HARMLESS]


Layer = tuple[str, str, str]


def plan(inside: Inside) -> Iterator[Layer]:
    """What the root is built of, in order: (kind, source, path inside).

    Kinds: ro and rw show a file or folder, link makes a symlink, tmp an empty file system with the mode `source`,
    dir a plain folder with that mode, hide covers a folder that is shown. Each folder on the way comes before what is
    in it: bubblewrap makes those it is not told of readable for root alone.
    """
    made = {"/"}
    for kind, source, path in _contents(inside):
        if kind == "hide":
            yield (kind, source, path)
            continue
        for parent in reversed(list(map(str, Path(path).parents))):
            if parent not in made:
                made.add(parent)
                yield ("dir", "0755", parent)
        made.add(path)
        yield (kind, source, path)


def _contents(inside: Inside) -> Iterator[Layer]:
    yield from _system(inside.private, "/usr")
    for path in _SYSTEM:
        if Path(path).is_symlink():
            yield ("link", str(Path(path).readlink()), path)
        elif Path(path).is_dir():
            yield ("ro", path, path)
    for name in ETC:
        # resolv.conf and others are links to places that are not seen inside: their targets are shown instead.
        source = os.path.realpath(f"/etc/{name}")
        if Path(source).exists() and not inside.private.hides(Path(source)):
            yield ("ro", source, f"/etc/{name}")
    for path in ("/nix/store", "/opt"):
        yield from _system(inside.private, path)
    yield ("tmp", "1777", "/tmp")  # noqa: S108
    yield ("tmp", "0755", "/run")
    if NIXOS.is_symlink():
        # The running system, which whoever looks into the store sees anyway.
        yield ("link", str(NIXOS.resolve()), str(NIXOS))
    yield from (("rw", source, target) for target, source in sorted(inside.read_write.items()))
    yield from (("ro", source, target) for target, source in sorted(inside.read_only.items()))


def _system(private: Private, path: str) -> Iterator[Layer]:
    """A folder of the system, without what is private in it."""
    source = Path(os.path.realpath(path))
    if not source.is_dir() or private.hides(source) or source == Path("/"):
        return
    yield ("ro", str(source), path)
    for place in private.within(source):
        if place.is_dir():
            yield ("hide", "0555", str(Path(path) / place.relative_to(source)))


def _found(program: str) -> str:
    """Where a program is on the PATH of whoever starts hive: what was tried is what is used."""
    import shutil

    return shutil.which(program) or program


def bwrap_argv(inside: Inside) -> list[str]:
    """The container by bubblewrap(1)."""
    options = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", inside.name]
    options += ["--die-with-parent", *([] if inside.terminal else ["--new-session"])]
    for kind, source, path in plan(inside):
        match kind:
            case "tmp":
                options += ["--perms", source, "--tmpfs", path]
            case "dir":
                options += ["--perms", source, "--dir", path]
            case "hide":
                options += ["--perms", source, "--tmpfs", path, "--remount-ro", path]
            case "link":
                options += ["--symlink", source, path]
            case _:
                options += ["--ro-bind" if kind == "ro" else "--bind", source, path]
    options += ["--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"]  # noqa: S108
    options += ["--remount-ro", "/dev", "--remount-ro", "/"]
    if inside.uid is None or os.geteuid() != 0:
        return [_found("bwrap"), "--unshare-user", *options, "--", *_final(inside, inside.workdir)]
    # Enough to become the agent's user and to give up even this; bubblewrap itself sets no_new_privs.
    capabilities = ["--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
        capabilities += ["--cap-add", capability]
    return [_found("bwrap"), *options, *capabilities, "--", *_become(inside.uid), *_final(inside, inside.workdir)]


def unshare_argv(inside: Inside) -> list[str]:
    """The container by unshare(1), mount(8) and pivot_root(8)."""
    steps = [word for step in plan(inside) for word in step]
    final = ["/bin/sh", "-c", scripts.INIT, "hive", *_final(inside, inside.workdir)]
    namespaces = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup"]
    if inside.uid is not None and os.geteuid() == 0:
        # --pdeathsig once more at the end: becoming another user clears it (prctl(2)).
        become = [*_become(inside.uid), "--pdeathsig", "KILL"]
    else:
        namespaces += ["--map-root-user"]
        # Back from the namespace's root to our own number; the capabilities are kept just to be given up for good.
        own = [f"--map-user={os.geteuid()}", f"--map-group={os.getegid()}", "--keep-caps"]
        become = ["unshare", *own, "--", "setpriv", "--ambient-caps=-all", *_HARMLESS, "--pdeathsig", "KILL"]
    build = ["/bin/sh", "-c", scripts.BUILD, "hive", inside.root, inside.name, *steps, "--"]
    outer = ["/bin/sh", "-c", scripts.OUTER, "hive"]
    return [_found("setpriv"), "--pdeathsig", "KILL", *namespaces, "--", *outer, *build, *become, *final]


def bare_argv(inside: Inside) -> list[str]:
    """The program as a plain process, without privileges; it is started in its working folder."""
    become = ["setpriv", "--no-new-privs"] if os.geteuid() != 0 or inside.uid is None else _become(inside.uid)
    return [*become, *_final(on_the_machine(inside), ".")]


def on_the_machine(inside: Inside) -> Inside:
    """The description for a container without a root of its own: paths inside become those of the machine."""
    shown = sorted({**inside.read_only, **inside.read_write}.items(), reverse=True)

    def outside(text: str) -> str:
        for target, source in shown:
            if text == target or text.startswith(f"{target}/"):
                return source + text[len(target) :]
        return text

    return Inside(
        inside.name,
        inside.uid,
        tuple(map(outside, inside.command)),
        {name: outside(value) for name, value in inside.environment.items()},
        inside.read_write,
        inside.read_only,
        inside.root,
        inside.private,
        outside(inside.workdir),
        inside.terminal,
    )


ARGV = {Sandbox.BWRAP: bwrap_argv, Sandbox.UNSHARE: unshare_argv, Sandbox.NONE: bare_argv}
