"""Programs: run in an environment of their own, to their end or to a limit, and told of in full when they fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.errors import ProgramFailed, TookTooLong, WroteTooMuch
from hive_core.process import Completed, Owner, boot_id, failure, fields_of, lines_of, run, shows_removed
from tests.git import ROOT
from tests.hives import eventually
from tests.needs import needs_root, requires


def test_a_program_is_given_what_it_is_given_and_nothing_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET", "x")
    done = run(["env"], env={"ODD": "a b\n$c'\""}, cwd=tmp_path)
    # What env prints of a variable with a line break is two lines.
    assert "ODD=a b\n$c'\"\n" in done.stdout
    assert "SECRET" not in done.stdout
    assert run(["pwd"], cwd=tmp_path).stdout == f"{tmp_path}\n"


def test_a_program_reads_what_it_is_given_and_else_nothing() -> None:
    assert run(["cat"], text="é\n").stdout == "é\n"
    assert run(["cat"]).stdout == ""


def test_a_program_that_is_under_us_ends_with_us_and_is_not_begun_after_us(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    assert run(["sh", "-c", f"echo $PPID >{begun}"], under_us="KILL").code == 0
    assert int(begun.read_text()) == os.getpid()
    begun.unlink()
    # What setpriv is asked of comes too late: whoever called it has died meanwhile.
    late = tmp_path / "setpriv"
    late.write_text(f'#!/bin/sh\nkill -9 "$PPID"\n(shift 3; "$@"; echo >{tmp_path}/asked) &\n')
    late.chmod(0o755)
    child = os.fork()
    if child == 0:
        os.environ["PATH"] = f"{tmp_path}:{os.environ['PATH']}"
        run(["touch", str(begun)], under_us="KILL")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    eventually((tmp_path / "asked").exists)
    assert not begun.exists()


def test_words_are_words_whatever_they_hold() -> None:
    odd = ["a b", "$HOME", "`x`", "-n", "", "é", "x=y"]
    assert run(["printf", "%s\\n", *odd]).stdout.split("\n")[:-1] == odd


def test_what_fails_is_told_with_its_words_its_code_and_what_it_wrote() -> None:
    with pytest.raises(ProgramFailed) as failed:
        run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert failed.value.message.splitlines()[0] == "`sh -c echo out; echo err >&2; exit 3` ended with code 3"
    assert failed.value.message.splitlines()[1:] == ["stdout:", "    out", "stderr:", "    err"]
    done = run(["sh", "-c", "exit 3"], check=False)
    assert (done.code, done.stdout, done.stderr) == (3, "", "")
    assert failure(Completed(("x",), 1, " \n", "")) == "`x` ended with code 1"


def test_what_is_killed_has_the_code_of_its_signal() -> None:
    assert run(["sh", "-c", "kill -9 $$"], check=False).code == -9


def test_what_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match="nowhere-at-all is not installed, or not on the PATH"):
        run(["nowhere-at-all"])
    # Where the PATH that it is given leads, and not hive's own.
    (tmp_path / "mine").write_text("#!/bin/sh\necho mine\n")
    (tmp_path / "mine").chmod(0o755)
    assert run(["mine"], env={"PATH": f"{tmp_path}:/bin:/usr/bin"}).stdout == "mine\n"


def test_what_takes_too_long_is_killed() -> None:
    with pytest.raises(TookTooLong, match=r"`sleep 1000` took longer than 0\.05 seconds and was killed"):
        run(["sleep", "1000"], timeout=0.05)


def test_what_writes_too_much_is_killed_and_a_part_is_no_answer() -> None:
    with pytest.raises(WroteTooMuch, match=r"wrote more than 1\.0 KiB and was killed"):
        run(["cat", "/dev/zero"], most=1024)
    assert len(run(["head", "-c", "1024", "/dev/zero"], most=1024).stdout) == 1024


def test_a_process_is_known_again_and_told_from_every_other() -> None:
    me = Owner.current()
    assert me == Owner.of(os.getpid()) == Owner.from_json(me.to_json())
    assert me.alive()
    assert (me.pid, me.boot) == (os.getpid(), boot_id())
    for other in (me._replace(started=me.started + 1), me._replace(boot="another"), me._replace(pid=1)):
        assert not other.alive()


def test_one_that_has_ended_is_gone_also_while_nobody_has_asked_for_its_code() -> None:
    with subprocess.Popen(["true"]) as process:
        held = os.pidfd_open(process.pid)
        os.waitid(os.P_PIDFD, held, os.WEXITED | os.WNOWAIT)
        os.close(held)
        assert fields_of(process.pid) is not None
        assert Owner.of(process.pid) is None
    assert fields_of(process.pid) is None


def test_a_name_with_parentheses_does_not_deceive_who_asks_for_a_process(tmp_path: Path) -> None:
    odd = tmp_path / "a) S 1 (b"
    odd.symlink_to("/bin/sleep")
    with subprocess.Popen([odd, "1000"]) as process:
        try:
            fields = fields_of(process.pid)
            assert fields is not None
            assert int(fields[1]) == os.getpid()
        finally:
            process.kill()


def test_lines_about_a_process_end_where_the_kernel_ends_them() -> None:
    assert lines_of(os.getpid(), "status")[0].startswith("Name:\t")
    (group,) = [line for line in lines_of(os.getpid(), "limits") if line.startswith("Max open files")]
    assert group.split()[3].isdecimal()
    # It has no line break at its end.
    child = subprocess.Popen(["sleep", "infinity"])
    try:
        assert str(child.pid) in lines_of(os.getpid(), f"task/{os.getpid()}/children")[-1].split()
    finally:
        child.kill()
        child.wait()
    assert lines_of(child.pid, "status") == lines_of(child.pid, "mountinfo") == []
    assert shows_removed(child.pid, "/") is None


@needs_root
@requires("unshare")
def test_what_somebody_has_mounted_under_an_odd_name_hides_no_other_mount(tmp_path: Path) -> None:
    odd, seen, source = tmp_path / "a\rb\x85c\u2028 d\\e", tmp_path / "seen", tmp_path / "source"
    for folder in (odd, seen, source):
        folder.mkdir()
    script = 'mount -t tmpfs none "$1" && mount --bind "$2" "$3" && mount -t tmpfs none "$1" && echo && exec cat'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", str(odd), str(source), str(seen)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"\n", "mounting is not allowed here"
        assert shows_removed(process.pid, str(seen)) is False
        assert shows_removed(process.pid, str(source)) is None
        source.rmdir()
        assert shows_removed(process.pid, str(seen)) is True
        # What hive itself reads of its groups is not put out by it, either.
        code = "from hive_core.containers.local import cgroups; print(len(cgroups.parents_of('memory')))"
        inside = [sys.executable, "-c", code]
        argv = ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt", *inside]
        around = {**os.environ, "PYTHONPATH": str(ROOT)}
        entered = subprocess.run(argv, env=around, capture_output=True, text=True, check=False)
        assert entered.returncode == 0, entered.stderr
