"""The shell's face: exit codes, JSON, help, colours, prompts, pipes, completion."""

from __future__ import annotations

import codecs
import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hive_core.operation import GROUPS
from hive_faces.verbs import everything
from tests import forking
from tests.hives import CHECKOUT, PATIENCE, TestHive, asleep, eventually, interrupt, is_code, line_of

pytestmark = pytest.mark.remembered
ESCAPE = "\x1b"


class Terminal:
    """A command at a terminal of its own, and what it shows there. program: whether the real program is started."""

    def __init__(self, hive: TestHive, *arguments: str, program: bool = False) -> None:
        self.master, inner = pty.openpty()
        environment = {**hive.environment, "TERM": "xterm-256color"}
        self.process: subprocess.Popen[bytes] | forking.Started
        if program:
            argv = [sys.executable, str(CHECKOUT / "hive"), *arguments]
            self.process = subprocess.Popen(
                argv, env=environment, stdin=inner, stdout=inner, stderr=inner, start_new_session=True
            )
        else:
            self.process = forking.server().start(arguments, environment, terminal=inner)
        os.close(inner)
        hive.started.append(self.process)  # type: ignore[arg-type]
        self.seen = ""
        # A character may come in two pieces.
        self._decoder = codecs.getincrementaldecoder("utf-8")()

    def _read(self) -> bool:
        """Take in what is shown next; False when the command has left the terminal."""
        assert select.select([self.master], [], [], PATIENCE)[0], self.seen
        try:
            self.seen += self._decoder.decode(os.read(self.master, 65536))
        except OSError:
            return False
        return True

    def see(self, text: str) -> None:
        while text not in self.seen:
            assert self._read(), self.seen

    def ask(self, question: str) -> None:
        """See a question, and that its answer is waited for: an interrupt a moment before would end nothing."""
        self.see(question)
        asleep(self.process)  # type: ignore[arg-type]

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def leave(self) -> int:
        """Wait for the end; the exit code."""
        while self._read():
            pass
        os.close(self.master)
        return self.process.wait(PATIENCE)


# --- exit codes


def test_what_was_done_is_0_and_only_the_result_is_on_standard_output(hive: TestHive) -> None:
    done = hive.run("list", code=0)
    assert done.stdout == ""
    assert done.stderr.startswith("No agents yet. `hive request-spawn NAME` asks for one")


@pytest.mark.parametrize("command", [["approvals"], ["tombstones"], ["questions"], ["questions", "--all"], ["recent"],
                                     ["search", "x"], ["inputs"], ["migrate"], ["approvals", "--all"]], ids=" ".join)  # fmt: skip
def test_where_there_is_nothing_a_sentence_names_what_there_is_none_of(hive: TestHive, command: list[str]) -> None:
    done = hive.run(*command)
    assert done.stdout == ""
    assert re.match(r"(No|There has been no|Nothing) .+\.$", done.stderr.strip())
    assert hive.json(*command) == []


def test_every_list_has_its_sentence_for_when_it_is_empty() -> None:
    for operation in everything().values():
        assert not operation.columns or operation.empty.endswith("."), operation.name


def test_what_was_refused_is_1_with_a_reason_and_a_hint(hive: TestHive) -> None:
    done = hive.run("start", "coder", code=1)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "hive: There is no agent 'coder'.",
        "  `hive list` shows the agents, `hive tombstones` the destroyed ones.",
    ]


def test_a_name_that_is_almost_right_is_suggested(hive: TestHive) -> None:
    hive.spawn("coder")
    for verb, *rest in (["start"], ["destroy", "--yes"], ["journal"], ["send", "hello"]):
        told = hive.run(verb, "codr", *rest, code=1).stderr
        assert "There is no agent 'codr'." in told, verb
        assert "Did you mean 'coder'?" in told, verb
        assert "mean" not in hive.run(verb, "zzz", *rest, code=1).stderr, verb


@pytest.mark.parametrize(
    "command",
    [[], ["nonsense"], ["start"], ["start", "a", "b"], ["list", "--nonsense"], ["approve", "x"],
     ["journal", "a", "--lines", "0"], ["journal", "a", "--lines", "5001"], ["start", "Coder"], ["--nonsense"],
     ["events", "--kind", "nonsense"]],
    ids=" ".join,
)  # fmt: skip
def test_what_is_not_understood_is_2_and_touches_nothing(hive: TestHive, command: list[str]) -> None:
    done = hive.run(*command, code=2)
    assert "Traceback" not in done.stderr
    assert done.stderr or done.stdout
    assert not hive.home.exists()


def test_a_bug_is_3_and_says_where_its_report_lies(hive: TestHive) -> None:
    # An event that hive cannot have written: whatever reads it fails in a way nobody planned for.
    with hive.inside().store.write() as db:
        db.execute("insert into events (at, kind, data) values (0, 'spawned', 'nonsense')")
    hive.extra["TMPDIR"] = str(hive.root)
    told = hive.run("events", code=3).stderr
    found = re.search(r"lies in (\S+)\.$", told.strip())
    assert found, told
    report = Path(found.group(1))
    assert report.parent == hive.root
    assert "Traceback" not in told
    assert "Traceback" in report.read_text()
    assert "arguments: ['events']" in report.read_text()
    assert report.stat().st_mode & 0o077 == 0


def test_a_damaged_database_is_told_without_a_traceback_and_is_not_written_over(hive: TestHive) -> None:
    hive.home.mkdir()
    damaged = b"nonsense" * 1000
    (hive.home / "hive.db").write_bytes(damaged)
    told = hive.run("list", code=1).stderr
    assert "hive.db" in told
    assert "Traceback" not in told
    assert (hive.home / "hive.db").read_bytes() == damaged


def test_ctrl_c_is_130(hive: TestHive) -> None:
    follow = hive.start("events", "--since", "0", "--follow")
    hive.run("send", "operator", "hello")
    line_of(follow)
    assert interrupt(follow) == 130


def test_ctrl_c_at_a_question_is_130_and_does_nothing(hive: TestHive) -> None:
    hive.spawn("coder")
    terminal = Terminal(hive, "destroy", "coder")
    terminal.ask("Destroy coder? [y/N]: ")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.leave() == 130
    assert terminal.seen.endswith("\n"), "the shell's prompt begins a line"
    assert hive.agent("coder")["running"] is True


def test_a_polite_kill_ends_as_ctrl_c_does(hive: TestHive) -> None:
    follow = hive.start("events", "--since", "0", "--follow")
    hive.run("send", "operator", "hello")
    line_of(follow)
    follow.terminate()
    follow.communicate(timeout=PATIENCE)
    assert follow.returncode == 130


# --- JSON

LISTINGS = [
    ["list"], ["approvals"], ["approvals", "--all"], ["tombstones"], ["inputs"], ["questions"], ["questions", "--all"],
    ["recent"], ["search", "ready"], ["doctor"], ["migrate"], ["update", "--stale"], ["journal", "coder"],
]  # fmt: skip


def test_a_listing_is_a_json_array_also_when_it_is_empty(hive: TestHive) -> None:
    for command in LISTINGS:
        if command[0] == "journal":
            hive.spawn("coder")
        assert isinstance(hive.json(*command), list), command


def test_a_row_is_a_json_object(hive: TestHive) -> None:
    for name in ("coder", "tester"):
        hive.spawn(name)
    hive.run("destroy", "tester", "--yes")
    for command in (["list"], ["approvals", "--all"], ["tombstones"], ["inputs"], ["recent", "--system"]):
        rows = hive.json(*command)
        assert rows, command
        assert all(isinstance(row, dict) for row in rows), command


def test_one_thing_is_a_json_object(hive: TestHive) -> None:
    assert hive.json("request-spawn", "coder")["agent"] == "coder"
    assert hive.json("approve", "1")["status"] == "approved"
    assert hive.json("show", "1")["approval"]["id"] == 1
    assert hive.json("stop", "coder")["name"] == "coder"
    assert hive.json("destroy", "coder", "--yes") == {}


# --- help and completion


def test_follow_and_lines_have_the_letters_that_other_programs_use(hive: TestHive) -> None:
    hive.spawn("coder")
    assert hive.run("history", "coder", "-n", "1").stdout.count("\n") == 1
    follow = hive.start("events", "--since", "0", "-f")
    line_of(follow)
    assert interrupt(follow) == 130


def test_help_is_a_word_too(hive: TestHive) -> None:
    assert hive.run("help", "approve").stdout == hive.run("approve", "--help").stdout
    assert hive.run("help").stdout == hive.run("--help").stdout


def test_the_help_groups_the_commands_in_their_order(hive: TestHive) -> None:
    text = hive.run("--help").stdout
    headings = [heading for heading in re.findall(r"^╭─ (\w+) ", text, re.MULTILINE) if heading in GROUPS]
    assert headings == [group for group in GROUPS if group in headings]
    assert {"Approvals", "Agents", "Messages", "Seeing", "Meta", "Running"} <= set(headings)
    where = {heading: text.index(f"╭─ {heading} ") for heading in headings}
    assert where["Approvals"] < text.index("│ approve ") < where["Agents"] < text.index("│ start ") < where["Messages"]
    assert hive.run("-h").stdout == text


def test_every_command_has_a_help_that_names_its_arguments(hive: TestHive) -> None:
    text = hive.run("request-commit", "--help").stdout
    for word in ("NAME", "SHA", "--description", "--json", "7 to 40 hex digits"):
        assert word in text
    assert not hive.home.exists()


def test_usage_names_what_has_to_be_given_without_braces(hive: TestHive) -> None:
    usage = "hive request-commit [OPTIONS] NAME SHA"
    assert usage in hive.run("request-commit", "--help").stdout
    assert usage in hive.run("request-commit", code=2).stderr
    assert "hive update [OPTIONS] [NAME]" in hive.run("update", "--help").stdout


def test_a_command_that_is_almost_right_is_suggested(hive: TestHive) -> None:
    assert "Did you mean 'list'" in hive.run("lits", code=2).stderr


def test_the_version_is_printed(hive: TestHive) -> None:
    from hive_core import __version__

    assert hive.run("--version").stdout == f"{__version__}\n"


@pytest.mark.parametrize(
    ("shell", "own"), [("bash", "complete -o"), ("zsh", "#compdef hive"), ("fish", "complete --command")]
)
def test_the_completion_script_of_the_shell_that_is_named_is_printed(hive: TestHive, shell: str, own: str) -> None:
    script = hive.run("--completion", shell).stdout
    assert own in script
    assert f"_HIVE_COMPLETE=complete_{shell}" in script
    assert "is not one of bash, zsh, fish" in hive.run("--completion", "sh", code=2).stderr


def test_the_script_gets_the_commands_that_begin_so(hive: TestHive) -> None:
    hive.extra |= {"_HIVE_COMPLETE": "complete_bash", "COMP_WORDS": "hive reb", "COMP_CWORD": "1"}
    assert hive.run().stdout.split() == ["rebuild"]


OFFERED = {
    "start ": ["coder", "tester"],
    "start te": ["tester"],
    "revive ": ["gone"],
    "purge ": ["gone"],
    "approve ": ["1"],
    "rollback coder --to ": ["1"],
    "answer ": ["1"],
    "send op": ["operator"],
    "meta-update ": ["agent-coder", "agent-tester", "hive"],
    "watch ": [],
    "request-spawn ": [],
    "approve 1 ": [],
}


def test_the_script_gets_the_values_that_make_sense(hive: TestHive) -> None:
    inside = hive.inside()
    with inside.store.write() as db:
        for name in ("coder", "tester"):
            db.execute("insert into agents (name, desired, created_at) values (?, 'stopped', 0)", (name,))
    for name in ("coder", "gone"):
        (hive.home / "agents" / name).mkdir(parents=True)
    hive.run("request-spawn", "third")
    hive.run("ask", "why?", "--to", "coder")
    for line, offered in OFFERED.items():
        words = f"hive {line}"
        completed = {"COMP_WORDS": words, "COMP_CWORD": str(len(words.split(" ")) - 1)}
        hive.extra |= {"_HIVE_COMPLETE": "complete_bash", **completed}
        assert sorted(hive.run().stdout.split()) == offered, line


def test_who_presses_tab_where_no_hive_is_yet_makes_none(hive: TestHive) -> None:
    hive.extra |= {"_HIVE_COMPLETE": "complete_bash", "COMP_WORDS": "hive start ", "COMP_CWORD": "2"}
    assert hive.run().stdout.split() == []
    assert not hive.home.exists()


# --- terminals and pipes


def test_a_terminal_gets_colours_unless_it_wants_none(hive: TestHive) -> None:
    hive.spawn("coder")
    coloured = Terminal(hive, "list", program=True)
    assert coloured.leave() == 0
    assert ESCAPE in coloured.seen
    hive.extra["NO_COLOR"] = "1"
    plain = Terminal(hive, "list", program=True)
    assert plain.leave() == 0
    assert ESCAPE not in plain.seen
    assert "coder" in plain.seen
    for command in (["--help"], ["list", "--help"], ["start", "nobody"], ["lits"]):
        shown = Terminal(hive, *command)
        shown.leave()
        assert not re.search(r"\x1b\[[0-9;]*(3[0-7]|9[0-7])m", shown.seen), command


def test_a_pipe_gets_no_colours(hive: TestHive) -> None:
    hive.spawn("coder")
    for command in (["list"], ["show", "1"], ["events"], ["--help"]):
        assert ESCAPE not in hive.run(*command).stdout


@pytest.mark.parametrize(
    "command", [["events", "--since", "0"], ["events", "--since", "0", "--json"], ["--help"], ["doctor"]]
)
def test_a_pipe_that_is_closed_early_is_no_error(hive: TestHive, command: list[str]) -> None:
    with hive.inside().store.write() as db:
        from hive_core.events import emit

        for _ in range(5000):
            emit(db, "sent", **{"from": "operator", "to": "coder", "body": "x" * 100})
    process = hive.start(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    assert line_of(process)
    process.stdout.close()
    assert is_code(process.wait(PATIENCE), 0, command)
    assert process.stderr.read() == ""


def test_a_command_that_follows_ends_when_nobody_reads_it_any_more(hive: TestHive) -> None:
    process = hive.start("events", "--since", "0", "--follow")
    hive.run("send", "operator", "hello")
    line_of(process)
    assert process.stdout is not None
    process.stdout.close()
    hive.run("send", "operator", "anybody there?")
    assert process.wait(PATIENCE) == 0


def test_a_human_is_asked_before_something_is_destroyed(hive: TestHive) -> None:
    hive.spawn("coder")
    for typed, code, alive in (("n\n", 1, True), ("\n", 1, True), ("y\n", 0, False)):
        terminal = Terminal(hive, "destroy", "coder")
        terminal.see("[y/N]")
        assert "Destroy coder?" in terminal.seen
        terminal.type(typed)
        assert terminal.leave() == code, typed
        assert [row["name"] for row in hive.json("list")] == (["coder"] if alive else []), typed


def test_what_a_destroy_takes_is_told_before_it_is_asked(hive: TestHive) -> None:
    hive.spawn("coder")
    for purge, told in ([], "Kept: "), (["--purge"], "no undo"):
        terminal = Terminal(hive, "destroy", "coder", *purge)
        terminal.see("[y/N]")
        assert told in terminal.seen
        assert re.search(r"\([0-9.]+ [KM]?i?B\)", terminal.seen)
        assert ("no undo" in terminal.seen) == bool(purge)
        terminal.type("n\n")
        assert terminal.leave() == 1


def test_what_was_destroyed_and_what_was_kept_is_told_in_the_end(hive: TestHive) -> None:
    hive.spawn("coder")
    assert "Kept: its configuration" in hive.run("destroy", "coder", "--yes").stderr
    assert (
        hive.run("purge", "coder", "--yes").stderr
        == "coder is purged: its configuration, state, login and inbox are gone\n"
    )
    hive.spawn("coder")
    assert "destroyed and purged" in hive.run("destroy", "coder", "--purge", "--yes").stderr


def test_nobody_is_asked_about_what_is_not_there(hive: TestHive) -> None:
    terminal = Terminal(hive, "destroy", "coder")
    assert terminal.leave() == 1
    assert "no agent" in terminal.seen
    assert "[y/N]" not in terminal.seen


def test_nobody_is_asked_who_said_yes_already(hive: TestHive) -> None:
    hive.spawn("coder")
    terminal = Terminal(hive, "destroy", "coder", "--purge", "--yes")
    assert terminal.leave() == 0
    assert "?" not in terminal.seen


def test_a_purge_says_what_it_will_remove_and_that_there_is_no_undo(hive: TestHive) -> None:
    hive.spawn("coder")
    hive.run("destroy", "coder", "--yes")
    terminal = Terminal(hive, "purge", "coder")
    terminal.see("no undo")
    terminal.type("n\n")
    assert terminal.leave() == 1
    assert eventually(lambda: hive.json("tombstones"))[0]["name"] == "coder"


def test_a_line_of_json_is_whole_however_wide_the_terminal_is(hive: TestHive) -> None:
    hive.spawn("coder")
    terminal = Terminal(hive, "list", "--json")
    assert terminal.leave() == 0
    # What is chatter stands before it on a terminal.
    assert json.loads(terminal.seen.splitlines()[-1])[0]["name"] == "coder"


def test_a_bare_verb_needs_nothing_that_reads_command_lines(hive: TestHive) -> None:
    script = (
        "import sys\nfrom hive_faces.shell.cli import main\n"
        "try:\n    main(sys.argv[1:])\nfinally:\n    print(any(name in sys.modules for name in ('typer', 'rich')))"
    )
    hive.extra["PYTHONPATH"] = str(CHECKOUT)
    program = [sys.executable, "-c", script]
    assert hive.run("list", "--json", program=program).stdout == "[]\nFalse\n"
    assert hive.run("events", "--json", "--kind", "sent", program=program).stdout == "True\n"
    assert "Missing argument" in hive.run("start", program=program, code=2).stderr
