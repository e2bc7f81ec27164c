"""A command in the process of its test does and says what it does in one of its own, and leaves nothing of itself there."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests import in_process
from tests.hives import PATIENCE, TestHive

pytestmark = pytest.mark.remembered


def test_its_words_and_its_exit_code_are_those_of_a_process(hive: TestHive) -> None:
    hive.spawn("coder")
    for command in (
        ["list"], ["list", "--json"], ["status"], ["rebuild", "coder"], ["approvals"], ["start", "coder"],
        ["start", "nobody"], ["start"], ["start", "coder", "--nonsense"], ["start", "../x"], ["destroy", "coder"],
    ):  # fmt: skip
        forked, here = hive.forked(*command), in_process.run(command, hive.environment, timeout=PATIENCE)
        assert (here.returncode, here.stdout, here.stderr) == (forked.returncode, forked.stdout, forked.stderr), command


def test_the_process_is_as_it_was_whatever_became_of_it(hive: TestHive) -> None:
    def now() -> list[object]:
        gc.collect()
        os.umask(mask := os.umask(0))
        alarm = signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)
        descriptors = len(os.listdir("/proc/self/fd"))
        return [dict(os.environ), mask, alarm, sys.stdin, sys.stdout, sys.stderr, descriptors]

    hive.spawn("coder")
    before = now()
    for command, code in ((["send", "coder", "hello"], 0), (["start", "nobody"], 1), (["start"], 2)):
        hive.run(*command, code=code)
        assert now() == before, command


def test_one_that_takes_too_long_is_broken_off_and_is_no_failure_of_hive_s(hive: TestHive) -> None:
    hive.spawn("coder")
    with hive.inside().lock("coder", "a test"), pytest.raises(subprocess.TimeoutExpired):
        in_process.run(["restart", "coder"], hive.environment, timeout=0.05)
    hive.run("restart", "coder")


def test_what_has_signals_streams_or_a_terminal_to_itself_is_forked_and_so_is_all_beside_the_main_thread() -> None:
    for verb in ("up", "watch", "gate", "page", "login", "mcp", "recv", "nonsense", ""):
        assert in_process.needs_its_own([verb]), verb
    assert in_process.needs_its_own(["list", "--help"])
    for command in (["list"], ["status"], ["approve"], ["backup"], ["watch", "--once"]):
        assert not in_process.needs_its_own(command), command
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(in_process.needs_its_own, ["list"]).result()
