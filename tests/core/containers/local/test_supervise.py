"""The supervisor: exit codes, signals, kills, journals, limits, and that nothing survives a container."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from hive_core.containers.local import cgroups
from hive_core.containers.local.limits import PROCESSES, SHARE_OF_MEMORY, memory
from hive_core.errors import BuildFailed, HiveError
from tests.core.containers.local.machine import Machine, await_end

PAGE = os.sysconf("SC_PAGE_SIZE")


@pytest.mark.parametrize(
    ("script", "code", "cause"),
    [
        ("exit 3", 3, "exit code 3"),
        ("kill -9 $$", 137, "SIGKILL"),
        ("kill -11 $$", 139, "SIGSEGV"),
        ("true", 0, "exit code 0"),
    ],
)
def test_the_exit_code_is_kept(each_sandbox: Machine, script: str, code: int, cause: str) -> None:
    each_sandbox.run("a", "sh", "-c", script)
    ended = each_sandbox.end("a").ended
    assert ended is not None
    assert (ended.code, ended.cause, ended.out_of_memory) == (code, cause, False)


def test_sigterm_goes_to_the_program_which_may_end_as_it_likes(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", "trap 'echo bye; exit 7' TERM; echo ready; sleep 100 & wait")
    anywhere.await_line("a", "ready")
    anywhere.ask("stop", name="a", grace=30)
    ended = anywhere.container("a").ended
    assert ended is not None
    assert ended.code == 7
    assert anywhere.written("a")[-1] == "bye"


@pytest.mark.parametrize("grace", [0, 0.2])
def test_a_program_that_ignores_sigterm_is_killed_when_its_grace_is_over(anywhere: Machine, grace: float) -> None:
    anywhere.run("a", "sh", "-c", "trap 'echo deaf' TERM; echo ready; while :; do sleep 100 & wait; done")
    anywhere.await_line("a", "ready")
    anywhere.ask("stop", name="a", grace=grace)
    ended = anywhere.container("a").ended
    assert ended is not None
    assert ended.code == 137
    assert ("deaf" in anywhere.written("a")) is (grace > 0)


def test_a_supervisor_killed_takes_everything_with_it(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", "setsid sleep 100 & (setsid sleep 100 &) ; echo ready; exec sleep 100")
    anywhere.await_line("a", "ready")
    with anywhere.held("a") as held:
        assert len(held) >= 4
        os.kill(anywhere.supervisor("a"), signal.SIGKILL)
        for descriptor in held.values():
            await_end(descriptor)
    container = anywhere.container("a")
    assert not container.running
    assert container.ended is not None
    assert container.ended.code is None
    # What is left in control groups is no obstacle.
    anywhere.ask("start", name="a", view=anywhere.view("a"))
    assert anywhere.container("a").running


def test_an_earlier_instances_end_is_not_taken_for_this_ones(plain: Machine) -> None:
    plain.run("a", "sh", "-c", "test -e ran && exec sleep 100; touch ran; exit 3")
    first = plain.end("a").ended
    assert first is not None
    assert first.code == 3
    plain.ask("start", name="a", view=plain.view("a"))
    (descriptor,) = plain.host.exits(["a"]).values()
    os.kill(plain.supervisor("a"), signal.SIGKILL)
    await_end(descriptor)
    os.close(descriptor)
    ended = plain.container("a").ended
    assert ended is not None
    assert ended.code is None


def test_a_grandchild_that_left_its_session_is_dead_after_a_stop(anywhere: Machine) -> None:
    anywhere.run("a", "sh", "-c", "(setsid sh -c 'trap \"\" TERM HUP; sleep 100' &); echo ready; exec sleep 100")
    anywhere.await_line("a", "ready")
    with anywhere.held("a") as held:
        anywhere.ask("stop", name="a", grace=5)
        for descriptor in held.values():
            await_end(descriptor)


def test_what_a_program_leaves_behind_dies_when_it_ends(anywhere: Machine) -> None:
    go = anywhere.state("a") / "go"
    os.mkfifo(go)
    anywhere.give(go, anywhere.uid)
    anywhere.run("a", "sh", "-c", "setsid sleep 100 & echo ready; read line <go; exit 4")
    anywhere.await_line("a", "ready")
    with anywhere.held("a") as held:
        go.write_text("go\n")
        for descriptor in held.values():
            await_end(descriptor)
    ended = anywhere.container("a").ended
    assert ended is not None
    assert ended.code == 4


def test_the_descriptor_of_an_exit_is_readable_right_after_a_kill(each_sandbox: Machine) -> None:
    each_sandbox.run("a", "sh", "-c", "echo ready; exec sleep 100")
    each_sandbox.await_line("a", "ready")
    (descriptor,) = each_sandbox.host.exits(["a", "nobody"]).values()
    with each_sandbox.held("a") as held:
        os.kill(max(held), signal.SIGKILL)
        await_end(descriptor)
    os.close(descriptor)
    container = each_sandbox.container("a")
    assert not container.running
    assert container.ended is not None
    assert container.ended.code == 137


def test_hostile_bytes_are_kept_line_by_line(plain: Machine) -> None:
    plain.run("a", "sh", "-c", r"printf '\033[31mred\000\377\rx\n\nlast'; echo err >&2; printf part")
    plain.end("a")
    lines = plain.host.journal("a", 10)
    assert [line.split(" ", 1)[1] for line in lines][-4:] == ["\x1b[31mred\0\ufffd\rx", "", "lasterr", "part"]
    assert all(len(line.split(" ", 1)[0]) == len("2026-11-21T07:46:01.123Z") for line in lines)


def test_a_program_that_reads_its_own_output_cannot_blind_the_journal(each_sandbox: Machine) -> None:
    loop = "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i + 1)); done"
    each_sandbox.run("a", "sh", "-c", f"cat </proc/$$/fd/1 >/dev/null & {loop}; kill -9 $!; wait; echo end")
    each_sandbox.end("a")
    assert each_sandbox.written("a")[-1] == "end"


def test_an_agents_escapes_do_not_reach_the_reason_of_a_failed_start(each_sandbox: Machine) -> None:
    script = each_sandbox.state("a") / "script"
    script.write_text("#!/state/\033[31mno-such\n")
    script.chmod(0o755)
    with pytest.raises(BuildFailed) as refused:
        each_sandbox.run("a", "/state/script")
    assert "\033" not in str(refused.value)


def test_an_agent_cannot_fill_the_disk(plain: Machine) -> None:
    line = "y" * 4000
    plain.run("a", "sh", "-c", f"yes {line} | head -n 6000; yes | tr -d '\\n' | head -c 20000; echo; echo end")
    plain.end("a")
    files = sorted((plain.home / "containers/a").glob("journal*"))
    assert [file.name for file in files] == ["journal", "journal.1"]
    assert all(file.stat().st_size <= 10 * 1024 * 1024 for file in files)
    *_, first, second, third, last = plain.written("a")
    assert [len(first), len(second), len(third)] == [8192, 8192, 20000 - 2 * 8192]
    assert last == "end"


def test_a_program_that_is_not_there_fails_the_start_with_a_sentence(each_sandbox: Machine) -> None:
    with pytest.raises(BuildFailed, match="the program /state/nothing is not there"):
        each_sandbox.run("a", "/state/nothing")
    assert not each_sandbox.container("a").running


def test_a_turn_loop_that_is_not_there_is_no_fault_of_the_configuration(each_sandbox: Machine) -> None:
    revision = each_sandbox.build("a", {"agent.toml": 'runner = "claude"\n'})
    with pytest.raises(HiveError, match="the program /hive/nothing is not there") as raised:
        each_sandbox.ask(
            "switch", name="a", revision=revision, view=each_sandbox.view("a", harness=["/hive/nothing"]), run=True
        )
    assert not isinstance(raised.value, BuildFailed)


def test_a_program_that_cannot_be_executed_fails_the_start_with_a_sentence(each_sandbox: Machine) -> None:
    (each_sandbox.state("a") / "text").write_text("not a program")
    with pytest.raises(BuildFailed, match="the program /state/text cannot be executed"):
        each_sandbox.run("a", "/state/text")


def test_a_limit_of_memory_kills_and_says_so(as_root: Machine) -> None:
    as_root.run("a", "sh", "-c", "exec tail /dev/zero", more="[limits]\nmemory = '32M'\n")
    ended = as_root.end("a").ended
    assert ended is not None
    assert ended.out_of_memory
    assert ended.code == 137
    assert ended.cause == "out of memory"


def test_a_limit_of_processes_stops_a_fork_bomb(as_root: Machine) -> None:
    # A shell that cannot fork ends, so the bomb may burn out; the container's program does not.
    bomb = "bomb() { bomb & bomb & wait; }; bomb & exec sleep infinity"
    as_root.run("a", "sh", "-c", bomb, more="[limits]\nprocesses = 40\n")
    as_root.await_line("a", "fork")
    with as_root.held("a") as held:
        # What comes and goes below the supervisor cannot be counted; what the kernel counts to can be seen.
        limits = [int(file.read_text()) for folder in _groups(as_root, "a") for file in folder.glob("pids.max")]
        assert len(limits) == 1
        assert 40 <= limits[0] <= 40 + 4
        as_root.ask("stop", name="a", grace=0)
        for descriptor in held.values():
            await_end(descriptor)
    assert not [folder for folder in _groups(as_root, "a") if folder.exists()]


def test_exactly_the_processes_asked_for_are_allowed(as_root: Machine) -> None:
    as_root.run("a", "sh", "-c", "sleep 0 && echo two; (sleep 0; :)", more="[limits]\nprocesses = 2\n")
    as_root.end("a")
    written = as_root.written("a")
    assert "two" in written
    assert any("fork" in line for line in written)


def test_who_asks_for_no_limit_has_some_and_who_asks_for_none_has_none(as_root: Machine) -> None:
    as_root.run("a", "sleep", "100")
    assert _limits(as_root, "a", "pids.max") == {PROCESSES + (0 if as_root.sandbox == "none" else 2)}
    assert _limits(as_root, "a", "memory.max", "memory.limit_in_bytes") == {
        int(SHARE_OF_MEMORY * memory()) // PAGE * PAGE
    }
    as_root.run("b", "sleep", "100", more="[limits]\nmemory = 'none'\nprocesses = 'none'\n")
    assert as_root.container("b").running
    assert _limits(as_root, "b", "pids.max") == set()
    assert all(limit > memory() for limit in _limits(as_root, "b", "memory.max", "memory.limit_in_bytes"))


def _limits(machine: Machine, name: str, *files: str) -> set[int]:
    found = [folder / file for folder in _groups(machine, name) for file in files if (folder / file).exists()]
    return {int(file.read_text()) for file in found if file.read_text().strip() != "max"}


def test_a_limit_of_cpu_is_set(as_root: Machine) -> None:
    as_root.run("a", "sleep", "100", more="[limits]\ncpu = 0.5\n")
    quotas = [
        file.read_text().split()[0]
        for folder in _groups(as_root, "a")
        for file in (folder / "cpu.max", folder / "cpu.cfs_quota_us")
        if file.exists()
    ]
    assert quotas == ["50000"]


def test_without_control_groups_a_sentence_in_the_journal_says_so(each_sandbox: Machine) -> None:
    each_sandbox.run("a", "true", more="[limits]\nmemory = '64M'\nprocesses = 10\n")
    each_sandbox.end("a")
    said = [line for line in each_sandbox.written("a") if "not in force: memory, pids" in line]
    assert len(said) == (0 if each_sandbox.root else 1)


def _groups(machine: Machine, name: str) -> list[Path]:
    """The control groups of this machine's container; other tests at the same time have theirs."""
    own = cgroups.place(str(machine.home), name)
    return [Path(root) for root, _folders, _files in os.walk("/sys/fs/cgroup") if Path(root).name == own]


@pytest.mark.parametrize("signal", ["KILL", "TERM", "SEGV"])
def test_a_program_that_is_killed_writes_nothing_that_it_has_not_written(each_sandbox: Machine, signal: str) -> None:
    each_sandbox.run("a", "sh", "-c", f"echo mine; kill -{signal} $$; sleep 100")
    each_sandbox.end("a")
    assert [line for line in each_sandbox.written("a") if not line.startswith("hive: ")] == ["mine"]
