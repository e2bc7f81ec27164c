"""The shell's face: turns declarations into subcommands, prints what operations return, and states the exit codes."""

from __future__ import annotations

import gc
import inspect
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperCommand

from hive_core import __version__, disk, settings, streams
from hive_core.context import Hive
from hive_core.errors import Exit, HiveError, Refused
from hive_core.operation import GROUPS, OPERATOR, Operation, Parameter
from hive_core.signals import interruptible
from hive_core.text import visible
from hive_faces.serve import serve
from hive_faces.shell import present
from hive_faces.verbs import everything, find

# What typer raises for a command line it cannot read; its name has moved between releases, its place has not.
_CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
SHELLS = ("bash", "zsh", "fish")
# A shell sets it when it wants to know how a command line may go on.
COMPLETING = "_HIVE_COMPLETE"


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with its code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    streams.prepare()
    interruptible()
    # What is secret is made so; the rest agents, which are users of their own, must be able to read, whoever calls.
    os.umask(0o022)
    try:
        code = _guarded(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has seen enough.
        code = Exit.DONE
    except streams.OutputLost as error:
        _tell(error)
        code = error.exit_code
    sys.exit(int(code))


def _guarded(arguments: list[str]) -> int:
    """Run a command; every failure becomes a sentence on standard error and a code."""
    try:
        return _run(arguments)
    except (KeyboardInterrupt, BrokenPipeError, streams.OutputLost):
        raise
    except HiveError as error:
        _tell(error)
        return error.exit_code
    except _CLICK_ERROR as error:
        error.show()
        return Exit.USAGE
    except typer.Abort:
        # A question was left unanswered: what comes next begins on a line of its own.
        print(file=sys.stderr)
        return Exit.INTERRUPTED
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
    app = typer.Typer(
        name="hive",
        no_args_is_help=True,
        # Typer's own options print the script of the shell they are called from, whichever is asked for.
        add_completion=False,
        pretty_exceptions_enable=False,
        # Only a page of help is worth importing rich for.
        rich_markup_mode="markdown" if "--help" in arguments or "-h" in arguments or not arguments else None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    if COMPLETING in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]

        completion_init()
    for operation in _needed(arguments):
        made = app.command(operation.verb, cls=_Command, help=operation.summary, rich_help_panel=operation.group)
        made(_command(operation))
    result = app(arguments, prog_name="hive", standalone_mode=False)
    return result if isinstance(result, int) else Exit.DONE


def _needed(arguments: list[str]) -> list[Operation]:
    """Only the command that was asked for: making all of them takes longer than most of them run."""
    verb = next((word for word in arguments if not word.startswith("-")), "")
    asked = find(verb.replace("-", "_")) if verb else None
    if asked is not None and asked.callers & OPERATOR and COMPLETING not in os.environ:
        return [asked]
    shown = [operation for operation in everything().values() if operation.callers & OPERATOR]
    return sorted(shown, key=lambda operation: (GROUPS.index(operation.group), operation.verb))


class _Command(TyperCommand):
    """A command whose usage shows what has to be given as every other program does: ID, where typer has {ID}."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [piece.strip("{}") for piece in super().collect_usage_pieces(ctx)]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def _completion_script(shell: str | None) -> None:
    if shell is None:
        return
    if shell not in SHELLS:
        raise typer.BadParameter(f"{visible(shell)!r} is not one of {', '.join(SHELLS)}.")
    from typer.completion import get_completion_script  # type: ignore[attr-defined]

    typer.echo(get_completion_script(prog_name="hive", complete_var=COMPLETING, shell=shell))
    raise typer.Exit


def _root(
    # Their callbacks do it: without a command this function is not reached.
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_version)
    ] = False,
    completion: Annotated[
        str | None,
        typer.Option(
            "--completion",
            metavar="SHELL",
            help=f"Print what makes a shell complete commands: {', '.join(SHELLS)}.",
            is_eager=True,
            callback=_completion_script,
        ),
    ] = None,
) -> None:
    """Run a fleet of AI coding agents; nothing about one changes before you approved exactly that change."""


def _command(operation: Operation) -> Callable[..., int]:
    """Make the function that typer reads a command from: its signature is the operation's parameters."""

    def command(**values: Any) -> int:
        as_json, yes = values.pop("as_json"), values.pop("yes", False)
        given = {name: value for name, value in values.items() if value is not None and value != []}
        return _perform(operation, given, as_json=as_json, yes=yes)

    parameters = [_typer_parameter(parameter) for parameter in operation.parameters]
    parameters.append(_option("as_json", bool, False, "--json", "Print the result as JSON."))
    if operation.confirm:
        parameters.append(_option("yes", bool, False, "--yes", "Do not ask."))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__name__ = operation.name
    return command


def _typer_parameter(parameter: Parameter) -> inspect.Parameter:
    metavar, text = parameter.kind.metavar, parameter.help
    if not metavar:
        return _option(parameter.name, bool, parameter.default, parameter.flag, text)
    kind: Any = list[str] if parameter.many else str
    more: dict[str, Any] = {"help": text, "show_default": False}
    if COMPLETING in os.environ:
        from hive_faces.shell import completion

        more["autocompletion"] = completion.values(parameter)
    if parameter.required:
        info: Any = typer.Argument(metavar=f"{metavar}…" if parameter.many else metavar, **more)
        return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind, info])
    if parameter.positional:
        info = typer.Argument(metavar=f"[{metavar}]", **more)
        return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind | None, info], default=None)
    info = typer.Option(parameter.flag, metavar=metavar, **more)
    default: Any = [] if parameter.many else None
    return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind | None, info], default=default)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _option(name: str, kind: Any, default: Any, flag: str, text: str) -> inspect.Parameter:
    info = typer.Option(flag, help=text, show_default=False)
    return inspect.Parameter(name, _KEYWORD, annotation=Annotated[kind, info], default=default)


def _perform(operation: Operation, given: dict[str, Any], *, as_json: bool, yes: bool) -> int:
    # Checked before anything is opened: a name that is refused leaves nothing behind.
    arguments = operation.parse(given)
    gc.freeze()
    gc.enable()
    hive = Hive.open(settings.from_environment(os.environ), say=_say)
    if operation.confirm and not yes:
        _confirm(hive, operation, arguments)
    if operation.endures:
        streams.endure(sys.stdout)
    empty = operation.empty_all if arguments.get("all") else operation.empty
    try:
        result = serve(hive, operation, arguments)
    except KeyboardInterrupt:
        if not operation.reads and not operation.shell_only:
            _say("hive: interrupted; `hive events` shows what was done, and nothing is left half-done")
        raise
    return present.show(result, operation.columns, as_json=as_json, empty=empty)


def _confirm(hive: Hive, operation: Operation, arguments: Mapping[str, Any]) -> None:
    question = str(operation.confirm).format(**arguments)
    if operation.stakes is not None:
        _say(operation.stakes(hive, arguments))
    if not sys.stdin.isatty():
        raise Refused(f"{question} Nobody is there to answer.", "Add --yes to do it without being asked.")
    if not typer.confirm(visible(question), err=True):
        raise Refused("Nothing was done.")


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


def _tell(error: HiveError) -> None:
    print(f"hive: {visible(error.message)}", file=sys.stderr)
    if error.hint:
        print(f"  {visible(error.hint)}", file=sys.stderr)


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
