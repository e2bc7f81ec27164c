"""Control groups, version 1, 2 or both at once: limits, and a set of processes that nothing can leave unseen.

The supervisor imports this too, so it costs no import beyond os, select and time. A group is a list of folders, one per
hierarchy, below the group that hive itself is in: whatever bounds hive bounds its agents.
Sources: cgroups(7), Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/ of Linux.
"""

# pathlib and what it imports would be paid once per container.
# ruff: noqa: PTH102, PTH106, PTH208, PTH110, PTH112, PTH116, PTH118, PTH119, PTH120, PTH123

from __future__ import annotations

import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import NoReturn

# How long killed processes may take to be gone; one stuck in the kernel longer than this is reported.
GONE_SECONDS = 10.0
_PERIOD = 100_000
# Where hive itself is in a group that is its own, and which controllers it hands on there.
LEAF = "hive"
# Below a group that is the agent's own user's, where its processes are: what they can mount and write to begins there,
# also where neither version 1 nor a mount without `nsdelegate` keeps them from their own group (cgroups(7)).
_INNER = "agent"
_OF_LIMITS = ("memory", "pids", "cpu")
# What a mode says of a folder (inode(7)), and ENODEV, which a group says that is gone.
_KIND, _FOLDER, _GONE = 0o170000, 0o040000, 19


def place(home: str, name: str) -> str:
    """The name of a container's group, the same for ever and different in every other $HIVE_HOME."""
    from hashlib import sha256

    return f"hive-{sha256(os.fsencode(home) + b'/' + name.encode()).hexdigest()[:16]}-{name}"


def create(group: str, limits: Mapping[str, float]) -> tuple[list[str], str | None]:
    """Make the group with at most these limits: memory in bytes, pids, cpu in cores.

    Returns its folders, and a sentence for the journal where there can be none or not all that was wanted.
    Raises HiveError when a limit that was asked for cannot be set though groups are writable.
    """
    made: list[str] = []
    for parent in _parents(limits):
        try:
            made.append(_make(os.path.join(parent, group)))
        except OSError as error:
            if error.errno not in _NOT_OURS:
                remove(made)
                _refuse(error, limits)
    if not made:
        return [], _without(limits) if limits else None
    try:
        inner = os.geteuid() != 0
        for folder in made:
            # An agent that is hive's own user could make groups in its own, without end.
            if os.path.exists(most := os.path.join(folder, "cgroup.max.descendants")):
                _write(most, str(int(inner)))
            if inner:
                os.mkdir(os.path.join(folder, _INNER), 0o755)
        for controller, value in limits.items():
            _limit(made, controller, value)
    except OSError as error:
        remove(made)
        _refuse(error, limits)
    return made, None


def move_into_leaf() -> str | None:
    """Where a service manager has handed this process's group to it, go into one below: agents' groups stand beside it.

    In version 2 a group hands on memory or processes to those below it only when no process is in it itself.
    Returns a sentence where that cannot be done.
    """
    version_2, _ = _hierarchies()
    if version_2 is None:
        return None
    # systemd itself may have started this process in the leaf.
    own = _above_leaf(version_2[1])
    if not _is_delegated(own):
        return None
    leaf = os.path.join(own, LEAF)
    try:
        if own == version_2[1]:
            if not os.path.isdir(leaf):
                os.mkdir(leaf, 0o755)
            enter([leaf])
        for controller in " ".join(_lines(os.path.join(own, "cgroup.controllers"))).split():
            if controller in _OF_LIMITS:
                _write(os.path.join(own, "cgroup.subtree_control"), f"+{controller}")
    except OSError as error:
        return f"limits of this service may not bind its agents: {error.strerror}: {error.filename}"
    return None


def _above_leaf(group: str) -> str:
    """The group that this process may have others in, where it is in the leaf of one that was handed to it."""
    above = os.path.dirname(group)
    return above if os.path.basename(group) == LEAF and _is_delegated(above) else group


def _is_delegated(group: str) -> bool:
    """Whether a group of version 2 was handed to whoever runs in it.

    The machine's systemd marks it so. A user's own cannot; there it is a service's group that is this user's.
    """
    if os.geteuid() != 0 and group.endswith(".service") and "INVOCATION_ID" in os.environ:
        return os.stat(group).st_uid == os.geteuid()
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(group, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _without(limits: Mapping[str, float]) -> str:
    return f"control groups cannot be written here, so these limits are not in force: {', '.join(sorted(limits))}"


def _refuse(error: OSError, limits: Mapping[str, float]) -> NoReturn:
    from hive_core.errors import BuildFailed, HiveError

    kind = BuildFailed if error.errno in _NOT_TAKEN else HiveError
    raise kind(
        f"The limits ({', '.join(sorted(limits)) or 'none'}) could not be set: {error.strerror}: {error.filename}.",
        "Leave out the limit in agent.toml, or let hive write this control group.",
    ) from error


_NOT_TAKEN = (22, 34)  # EINVAL, ERANGE: the number itself is refused, and it will be the next time
_NOT_OURS = (1, 2, 13, 30)  # EPERM, ENOENT, EACCES, EROFS: the errno module is not worth its import here


def _hierarchies() -> tuple[tuple[str, str] | None, dict[str, str]]:
    """Where this process is: (mount, folder) of version 2, and the folder of each controller of version 1."""
    own = {}
    for line in _lines("/proc/self/cgroup"):
        _number, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path
    version_2, version_1 = None, {}
    for line in _lines("/proc/self/mountinfo"):
        fields, kind = line.split(" - ")[0].split(), line.split(" - ")[1].split()
        if kind[0] == "cgroup2" and "" in own:
            version_2 = (fields[4], _below(fields[4], fields[3], own[""]))
        if kind[0] == "cgroup":
            for controller in kind[2].split(","):
                if controller in own:
                    version_1[controller] = _below(fields[4], fields[3], own[controller])
    return version_2, version_1


def _below(mount: str, root: str, own: str) -> str:
    """The folder of group `own` in a mount that shows the hierarchy from `root` on."""
    inside = os.path.relpath(own, root)
    return mount if inside in (".", "..") or inside.startswith("../") else os.path.join(mount, inside)


def parents_of(controller: str) -> list[str]:
    """The groups with this controller, one at the most, in which a container's is made."""
    return [at for at in _parents({controller: 0}) if os.path.exists(os.path.join(at, f"{controller}.stat"))]


def _parents(limits: Mapping[str, float]) -> Iterable[str]:
    """The folders to make a group in: one that tracks its processes, and one for each limit."""
    version_2, version_1 = _hierarchies()
    found: dict[str, None] = {}
    if version_2 is not None:
        found[_parent_in_2(*version_2, {controller for controller in limits if controller not in version_1})] = None
    elif "pids" in version_1:
        found[version_1["pids"]] = None
    for controller in limits:
        if controller in version_1:
            found[version_1[controller]] = None
    return found


def _parent_in_2(mount: str, own: str, wanted: set[str]) -> str:
    """The nearest group, from our own upwards, that hands the wanted controllers to its children.

    A group with processes in it cannot begin to hand them on, and changing others' groups is not ours to do.
    """
    at = own = _above_leaf(own)
    while wanted:
        if wanted <= set(" ".join(_lines(os.path.join(at, "cgroup.subtree_control"))).split()):
            return at
        if at == mount:
            break
        at = os.path.dirname(at)
    return own


def _make(folder: str) -> str:
    if os.path.isdir(folder):
        kill([folder])
        remove([folder])
    os.mkdir(folder, 0o755)
    return folder


def _limit(folders: list[str], controller: str, value: float) -> None:
    """Write one limit into the folder that has its controller."""
    files = {
        "memory": (("memory.max", int(value)), ("memory.limit_in_bytes", int(value))),
        "pids": (("pids.max", int(value)),),
        "cpu": (("cpu.max", f"{round(value * _PERIOD)} {_PERIOD}"), ("cpu.cfs_quota_us", round(value * _PERIOD))),
    }
    # Without these the limit of memory would only be one of memory that is not swapped out.
    swap = (("memory.swap.max", 0), ("memory.memsw.limit_in_bytes", int(value)))
    for folder in folders:
        for file, text in files[controller]:
            path = os.path.join(folder, file)
            if os.path.exists(path):
                _write(path, str(text))
                for name, amount in swap if controller == "memory" else ():
                    if os.path.exists(os.path.join(folder, name)):
                        _write(os.path.join(folder, name), str(amount))
                return
    raise FileNotFoundError(2, f"no control group here has the controller {controller}", controller)


def enter(folders: Iterable[str]) -> None:
    """Put the calling process, and whatever it will start, into the group."""
    for folder in folders:
        inner = os.path.join(folder, _INNER)
        _write(os.path.join(inner if os.path.isdir(inner) else folder, "cgroup.procs"), "0")


def kill(folders: Iterable[str]) -> bool:
    """SIGKILL everything in the group and wait until it is gone; False when something is not gone in time."""
    folders = list(folders)
    for folder in folders:
        if os.path.exists(os.path.join(folder, "cgroup.kill")):
            _write(os.path.join(folder, "cgroup.kill"), "1")
        if os.path.exists(os.path.join(folder, "pids.max")):
            # What cannot fork any more cannot outrun the loop below.
            _write(os.path.join(folder, "pids.max"), "0")
    return all(_kill_members(folder) and _await_empty(folder) for folder in folders)


def _kill_members(folder: str) -> bool:
    deadline = time.monotonic() + GONE_SECONDS
    while left := members(folder):
        pid = left[0]
        if time.monotonic() > deadline:
            return False
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # The number may have passed to another process before the descriptor was open, not after.
            if pid in members(folder):
                os.kill(pid, 9)
            poll = select.poll()
            poll.register(process, select.POLLIN)
            if pid in members(folder):
                poll.poll(GONE_SECONDS * 1000)
        except ProcessLookupError:
            continue
        finally:
            os.close(process)
    return True


def _await_empty(folder: str) -> bool:
    """Wait until no process is left in the groups below one of version 2 either; whether none is."""
    try:
        events = os.open(os.path.join(folder, "cgroup.events"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    try:
        poll, deadline = select.poll(), time.monotonic() + GONE_SECONDS
        poll.register(events, select.POLLPRI)
        while b"populated 1" in os.pread(events, 4096, 0):
            if time.monotonic() > deadline:
                return False
            poll.poll(GONE_SECONDS * 1000)
        return True
    except OSError as error:
        if error.errno != _GONE:
            raise
        return True
    finally:
        os.close(events)


def members(folder: str) -> list[int]:
    """The processes in one folder of a group."""
    lines = [line for at in (folder, os.path.join(folder, _INNER)) for line in _lines(os.path.join(at, "cgroup.procs"))]
    # 0 stands for a process of another pid namespace; there is none below our own.
    return [int(line) for line in lines if line != "0"]


def out_of_memory(folders: Iterable[str]) -> bool:
    """Whether the limit of memory has killed anything in the group."""
    for folder in folders:
        # Version 1 counts what is killed where it was.
        for file in ("memory.events", "memory.oom_control", f"{_INNER}/memory.oom_control"):
            for line in _lines(os.path.join(folder, file)):
                if line.startswith("oom_kill ") and line != "oom_kill 0":
                    return True
    return False


def remove(folders: Iterable[str]) -> list[str]:
    """Remove the group's folders, which hold no process any more; returns those that could not be removed."""
    left = []
    for folder in folders:
        try:
            _remove_below(folder)
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            left.append(folder)
    return left


def _remove_below(folder: str) -> None:
    """Remove the groups in a group, however deep: where hive is no root, an agent can make some in its own.

    It mounts the hierarchy in namespaces of its own, and its group belongs to its user (cgroup_namespaces(7)).
    """
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    way: list[str] = []
    try:
        while True:
            inner = next((name for name in os.listdir(at) if _is_group(at, name)), "..")
            if inner == ".." and not way:
                return
            below = os.open(inner, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
            if inner == "..":
                os.rmdir(way.pop(), dir_fd=at)
            else:
                way.append(inner)
    finally:
        os.close(at)


def _is_group(parent: int, name: str) -> bool:
    return os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode & _KIND == _FOLDER


def _lines(path: str) -> list[str]:
    try:
        # Whoever may mount names a folder as they like: no character but this one ends a line.
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            text = file.read()
            return text.removesuffix("\n").split("\n") if text else []
    except (FileNotFoundError, ProcessLookupError):
        return []


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(descriptor)
