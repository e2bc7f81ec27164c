"""Command lines as typer reads them: each declaration becomes a subcommand with its arguments, options and help."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from hive_core import __version__
from hive_core.errors import Exit
from hive_core.operation import GROUPS, OPERATOR, Operation, Parameter
from hive_core.text import visible
from hive_faces.verbs import aliases, command, everything, of_command

# What typer raises for a command line it cannot read; its name has moved between releases, its place has not.
_CLICK_ERROR: Any = typer.BadParameter.__mro__[2]
# A shell sets it when it wants to know how a command line may go on.
COMPLETING = "_HIVE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")
# What fingers know from other programs that follow and show the last lines.
SHORT = {"--follow": ("-f",), "--lines": ("-n",)}

# What carries a command out: the operation, what was given, whether its result is JSON, and whether nothing is asked.
Perform = Callable[[Operation, dict[str, Any], bool, bool], int]


def run(arguments: list[str], perform: Perform) -> int:
    """Read a command line and have what it asks for performed; returns the exit code."""
    try:
        result = _app(arguments, perform)(arguments, prog_name="hive", standalone_mode=False)
    except _CLICK_ERROR as error:
        error.show()
        return Exit.USAGE
    except typer.Abort:
        # A question was left unanswered: what comes next begins on a line of its own.
        sys.stderr.write("\n")
        return Exit.INTERRUPTED
    return result if isinstance(result, int) else Exit.DONE


def _app(arguments: list[str], perform: Perform) -> typer.Typer:
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
        made = app.command(command(operation), cls=_Command, help=_help(operation), rich_help_panel=operation.group)
        made(_command(operation, perform))
    return app


def _help(operation: Operation) -> str:
    known = aliases(operation)
    return operation.summary + (f" (Also `hive {'`, `hive '.join(known)}`.)" if known else "")


def _needed(arguments: list[str]) -> list[Operation]:
    """Only the command that was asked for: making all of them takes longer than most of them run."""
    verb = next((word for word in arguments if not word.startswith("-")), "")
    asked = of_command(verb) if verb else None
    if asked is not None and asked.callers & OPERATOR and COMPLETING not in os.environ:
        return [asked]
    shown = [operation for operation in everything().values() if operation.callers & OPERATOR]
    return sorted(shown, key=lambda operation: (GROUPS.index(operation.group), command(operation)))


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


def _command(operation: Operation, perform: Perform) -> Callable[..., int]:
    """Make the function that typer reads a command from: its signature is the operation's parameters."""

    def carry_out(**values: Any) -> int:
        as_json, yes = values.pop("as_json"), values.pop("yes", False)
        given = {name: value for name, value in values.items() if value is not None and value != []}
        return perform(operation, given, as_json, yes)

    parameters = [_typer_parameter(parameter) for parameter in operation.parameters]
    parameters.append(_option("as_json", bool, False, "--json", "Print the result as JSON."))
    if operation.confirm:
        parameters.append(_option("yes", bool, False, "--yes", "Do not ask."))
    carry_out.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    carry_out.__name__ = operation.name
    return carry_out


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
    if parameter.positional and parameter.many:
        info = typer.Argument(metavar=f"[{metavar}…]", **more)
        return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind | None, info], default=None)
    if parameter.positional:
        info = typer.Argument(metavar=f"[{metavar}]", **more)
        return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind | None, info], default=None)
    info = typer.Option(parameter.flag, *SHORT.get(parameter.flag, ()), metavar=metavar, **more)
    default: Any = [] if parameter.many else None
    return inspect.Parameter(parameter.name, _KEYWORD, annotation=Annotated[kind | None, info], default=default)


_KEYWORD = inspect.Parameter.KEYWORD_ONLY


def _option(name: str, kind: Any, default: Any, flag: str, text: str) -> inspect.Parameter:
    info = typer.Option(flag, *SHORT.get(flag, ()), help=text, show_default=False)
    return inspect.Parameter(name, _KEYWORD, annotation=Annotated[kind, info], default=default)
