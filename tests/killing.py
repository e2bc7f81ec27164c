"""Kill a Python program with SIGKILL at its N-th line inside chosen files, to try every place a crash can happen.

    python tests/killing.py N SUBSTRING... -- SCRIPT.py ARGUMENT...
    python tests/killing.py N SUBSTRING... -- -m MODULE ARGUMENT...
    python tests/killing.py N SUBSTRING... -- -c CODE ARGUMENT...

Counted are the lines about to run, in every thread, of code whose file name contains one of the substrings. With N = 0,
or an N past the end, nothing is killed, and the exit status is the program's own; the number of lines that ran is
written to the file that $KILLING_COUNT names, where it is set; the lines before which something in the folder
$KILLING_WATCH had changed, to $KILLING_PLACES. Processes the program forks are not counted and not
killed: only the program itself dies, as with `kill -9` on its number. A program that replaces itself by exec is
counted no further.
"""

from __future__ import annotations

import atexit
import itertools
import json
import os
import re
import runpy
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

# Python takes `__file__` away from the main module before threads that outlive it are done.
OWN_FILE = __file__

# Names of what makes no difference to whoever comes after a death in a hive: what is let go of by it, what only wakes
# others, and objects that nothing in a repository refers to yet.
NO_DIFFERENCE = re.compile(r"(agent-.+|in\..+|meta)\.lock|hive\.db-(bell|shm)|tmp_object_.+|[0-9a-f]{2}|[0-9a-f]{38}")

Trace = Callable[[FrameType, str, Any], Any]


class Killer:
    """Counts lines, and ends the process at the line asked for.

    watched: a tree; `places` are then the lines before which something in it had changed, the first among them.
    ignored: the names of files of which it does not matter.
    """

    def __init__(
        self,
        at: int,
        substrings: Sequence[str],
        watched: str | None = None,
        ignored: re.Pattern[str] | None = None,
    ) -> None:
        self.at = at
        self.substrings = tuple(substrings)
        self.process = os.getpid()
        # next() on it is one step of the interpreter: threads cannot lose a count.
        self.counter = itertools.count(1)
        self.chosen: dict[str, Trace | None] = {}
        self.changes = Changes(watched, ignored) if watched is not None else None
        self.places: list[int] = []

    def arm(self) -> None:
        os.register_at_fork(after_in_child=self._disarm)
        atexit.register(self._report)
        threading.settrace(self._enter)
        sys.settrace(self._enter)

    def _disarm(self) -> None:
        sys.settrace(None)
        threading.settrace(None)

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Trace | None:
        # Called at every call of the program: as little as can be.
        try:
            return self.chosen[frame.f_code.co_filename]
        except KeyError:
            name = frame.f_code.co_filename
            chosen = name != OWN_FILE and any(part in name for part in self.substrings)
            self.chosen[name] = self._step if chosen else None
            return self.chosen[name]

    def _step(self, frame: FrameType, event: str, argument: Any) -> Trace:
        # Threads of a forked child may carry a local trace on: only the process that was started counts.
        if event == "line" and os.getpid() == self.process:
            line = next(self.counter)
            if line == self.at:
                os.kill(self.process, signal.SIGKILL)
                signal.pause()
            if self.changes is not None and self.changes.any():
                self.places.append(line)
        return self._step

    def _report(self) -> None:
        target = os.environ.get("KILLING_COUNT")
        if target and os.getpid() == self.process:
            Path(target).write_text(f"{next(self.counter) - 1}\n")
        if self.changes is not None and "KILLING_PLACES" in os.environ and os.getpid() == self.process:
            Path(os.environ["KILLING_PLACES"]).write_text(json.dumps(self.places))


class Changes:
    """Whether anything in a tree was written, made or removed since the last look.

    As inotify tells of it: to look through the tree before each line takes longer than all the lines.
    """

    def __init__(self, root: str, ignored: re.Pattern[str] | None) -> None:
        from inotify_simple import INotify, flags

        self._root, self._ignored, self._inotify, self._flags = root, ignored, INotify(), flags
        self._watched = flags.MODIFY | flags.ATTRIB | flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
        # The tree may be made, or another put in its place.
        above, self._name = os.path.split(root)
        self._above = self._inotify.add_watch(above, flags.CREATE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE)
        self._follow()
        self._first = True

    def _follow(self) -> None:
        for folder, _folders, _files in os.walk(self._root):
            with suppress(FileNotFoundError):
                self._inotify.add_watch(folder, self._watched)

    def close(self) -> None:
        self._inotify.close()

    def any(self) -> bool:
        """The first look finds something."""
        # Any thread may ask at any time.
        if not self._first and not select.select([self._inotify.fd], [], [], 0)[0]:
            return False
        told = [each for each in self._inotify.read(timeout=0) if each.wd != self._above or each.name == self._name]
        made = self._flags.CREATE | self._flags.MOVED_TO
        if any(each.mask & self._flags.ISDIR and each.mask & made for each in told):
            self._follow()
        first, self._first = self._first, False
        return first or any(self._ignored is None or not self._ignored.fullmatch(each.name) for each in told)


def die_at_step(step: str) -> None:
    """Have this process killed as an operation of hive's comes to a step."""
    from hive_core import progress

    def dying(function: Callable[..., Any], reached: Callable[..., str]) -> Callable[..., Any]:
        def call(hive: Any, agent: str, *rest: Any) -> Any:
            found = function(hive, agent, *rest)
            if reached(*rest) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return found

        return call

    progress.reach = dying(progress.reach, lambda name: name)
    progress.begin = dying(progress.begin, lambda change, _plan: change.steps[0])


def died_at(line: int, action: Callable[[], object], substrings: Sequence[str]) -> bool:
    """Do something in a process forked for it, which is killed at its n-th line; whether it came to its end all the same."""
    child = os.fork()
    if child == 0:
        try:
            Killer(line, substrings).arm()
            action()
            os._exit(0)
        except BaseException:  # noqa: BLE001  (it ends here, whatever it is)
            traceback.print_exc()
            os._exit(1)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code == 0


def run(arguments: Sequence[str]) -> None:
    """Run what follows the `--` as python itself would, with `sys.argv` and `sys.path[0]` set accordingly."""
    if arguments[0] == "-m":
        sys.argv, sys.path[0] = list(arguments[1:]), str(Path.cwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv, sys.path[0] = ["-c", *arguments[2:]], str(Path.cwd())
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv, sys.path[0] = list(arguments), str(Path(arguments[0]).resolve().parent)
        runpy.run_path(arguments[0], run_name="__main__")


def main() -> None:
    if "--" not in sys.argv or not sys.argv[1].isdigit() or sys.argv[-1] == "--":
        sys.exit("usage: killing.py N SUBSTRING... -- (SCRIPT | -m MODULE | -c CODE) [ARGUMENT...]")
    middle = sys.argv.index("--")
    at, substrings, arguments = int(sys.argv[1]), sys.argv[2:middle], sys.argv[middle + 1 :]
    Killer(at, substrings, os.environ.get("KILLING_WATCH")).arm()
    run(arguments)


if __name__ == "__main__":
    main()
