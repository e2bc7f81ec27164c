"""The shell's face: turns declarations into subcommands, prints what operations return, and states the exit codes."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any, NoReturn

from hive_core import __version__, disk, service_manager, settings, streams
from hive_core.context import Hive
from hive_core.errors import Exit, HiveError, Refused
from hive_core.operation import OPERATOR, Operation
from hive_core.signals import Terminated, interruptible
from hive_core.text import visible
from hive_faces.serve import serve
from hive_faces.shell import present
from hive_faces.verbs import ALIASES, command, of_command

# A shell sets it when it wants to know how a command line may go on.
COMPLETING = "_HIVE_COMPLETE"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    streams.prepare()
    interruptible()
    # What is secret is made so; the rest agents, which are users of their own, must be able to read, whoever calls.
    os.umask(0o022)
    try:
        code = run(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        code = Exit.DONE
    except streams.OutputLost as error:
        _tell(error)
        code = error.exit_code
    streams.finish()
    sys.exit(int(code))


def _meant(arguments: list[str]) -> list[str]:
    """A command line in hive's own words: those of other programs lead to what they mean."""
    first, rest = arguments[:1], arguments[1:]
    if first == ["help"]:
        return [*_meant(rest), "--help"]
    if first == ["version"] and not rest:
        return ["--version"]
    # Of all agents that is the list; of one it is a verb of its own.
    if first == ["status"] and all(word.startswith("-") and word not in ("-h", "--help") for word in rest):
        return ["list", *rest]
    return [*(ALIASES.get(word, word) for word in first), *rest]


def run(argv: Sequence[str]) -> int:
    """Run one command; every failure becomes a sentence on standard error and a code."""
    arguments = _meant(list(argv))
    try:
        return _run(arguments)
    except (KeyboardInterrupt, BrokenPipeError, streams.OutputLost):
        raise
    except HiveError as error:
        _tell(error)
        return error.exit_code
    except SystemExit as end:
        # Typer and rich make an exit with code 1 of a broken pipe themselves.
        if isinstance(end.__context__, BrokenPipeError):
            return Exit.DONE
        if not isinstance(end.code, int):
            raise
        return end.code
    except PermissionError as error:
        _tell(Refused(f"{error.filename}: {error.strerror}.", "Run hive as the user that HIVE_HOME belongs to."))
        return Exit.REFUSED
    except Exception as error:  # noqa: BLE001
        refused = disk.refusal(error)
        if refused is None:
            return _report_bug(arguments)
        _tell(refused)
        return Exit.REFUSED


def _run(arguments: list[str]) -> int:
    plain = _plain(arguments)
    if plain is not None:
        flags = {each.name: True for each in plain.parameters if each.flag in arguments}
        return _perform(plain, flags, "--json" in arguments, False)
    from hive_faces.shell import command_line

    return command_line.run(arguments, _perform)


def _plain(arguments: list[str]) -> Operation | None:
    """The operation of a command line in which there is nothing to read: a verb alone, or with flags, such as --json.

    Everything else is typer's, whose import takes as long as most commands run.
    """
    if not arguments or not all(word.startswith("--") for word in arguments[1:]) or COMPLETING in os.environ:
        return None
    asked = of_command(arguments[0])
    if asked is None or command(asked) != arguments[0] or not asked.callers & OPERATOR:
        return None
    known = {"--json", *(parameter.flag for parameter in asked.parameters if not parameter.kind.metavar)}
    needs_more = any(parameter.required for parameter in asked.parameters) or not known.issuperset(arguments[1:])
    return None if needs_more else asked


def _perform(operation: Operation, given: dict[str, Any], as_json: bool, yes: bool) -> int:
    # Checked before anything is opened: a name that is refused leaves nothing behind.
    arguments = operation.parse(given)
    if not gc.isenabled():
        # Whatever was imported stays: see the executable.
        gc.freeze()
        gc.enable()
    hive = Hive.open(settings.from_environment(os.environ), say=_say)
    if operation.confirm and not yes:
        _confirm(hive, operation, arguments)
    if operation.endures:
        streams.endure(sys.stdout)
        streams.hurry_nobody()
    empty = operation.empty_all if arguments.get("all") else operation.empty
    try:
        with closing(hive.store):
            result = serve(hive, operation, arguments)
            return present.show(result, operation.columns, as_json=as_json, empty=empty)
    except KeyboardInterrupt as interrupt:
        if not operation.reads and not operation.shell_only:
            _say("hive: interrupted; `hive events` shows what was done, and nothing is left half-done")
        if operation.endures and isinstance(interrupt, Terminated):
            return Exit.DONE
        raise


def _confirm(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> None:
    question = str(operation.confirm).format(**arguments)
    if operation.stakes is not None:
        _say(operation.stakes(hive, arguments))
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody is there to answer.", "Add --yes to do it without being asked.")
    import typer

    if not typer.confirm(visible(question), err=True):
        raise Refused("Nothing was done.")


def _say(text: str) -> None:
    priority = service_manager.WARNING if text.startswith("warning: ") else ""
    print(_for_the_journal(visible(text), priority), file=sys.stderr, flush=True)


def _tell(error: HiveError) -> None:
    text = f"hive: {visible(error.message)}" + (f"\n  {visible(error.hint)}" if error.hint else "")
    print(_for_the_journal(text, service_manager.ERROR), file=sys.stderr)


def _for_the_journal(text: str, priority: str) -> str:
    """What is said, with its priority where that is read."""
    return service_manager.marked(text, priority) if service_manager.journal_reads(sys.stderr) else text


def _report_bug(arguments: list[str]) -> int:
    import tempfile
    import traceback

    what = f"hive {__version__}, Python {sys.version}\narguments: {arguments!r}\n\n{traceback.format_exc()}"
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="hive-bug-", suffix=".txt", delete=False) as report:
            report.write(what.encode(errors="backslashreplace"))
        lies = f"What led to it lies in {report.name}."
    except OSError as error:
        lies = f"What led to it could not be kept ({error.strerror}):\n{what}"
    _say(f"hive: this is a bug in hive: {sys.exc_info()[1]!r}\n  {lies}")
    return Exit.BUG
