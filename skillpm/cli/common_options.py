"""The options that every command takes, before the command and behind it, and the other names of commands."""

from __future__ import annotations

import os
from typing import Any

import click
from click.core import ParameterSource

from skillpm.errors import UsageError

# other names, as the users of npm, pip, apt, cargo and gh type them: our command with its arguments
ALIASES = {
    "add": ("install",),
    "i": ("install",),
    "ci": ("sync", "--locked"),
    "remove": ("uninstall",),
    "rm": ("uninstall",),
    "ls": ("list",),
    "info": ("show",),
}
OF_USER = frozenset({
    "answer", "eval", "export", "init", "lock", "rescore", "run", "scan", "score", "selftest", "show", "synth", "train",
})  # fmt: skip
"""Commands that read installed skills, and take those of the user with --user."""
_ADDED = "skillpm.common_options"
_MOST = (1 << 31) - 1


def _change_folder(ctx: click.Context, parameter: click.Parameter, folder: str | None) -> None:
    if folder is not None:
        try:
            os.chdir(folder)
        except OSError as error:
            raise click.BadParameter(f"{folder}: {error.strerror}", ctx, parameter) from None


def _without_colour(ctx: click.Context, parameter: click.Parameter, wanted: bool) -> None:
    if wanted:
        os.environ["NO_COLOR"] = "1"
    if os.environ.get("NO_COLOR"):
        ctx.color = False


def keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    """Keep the value of an option for ``kept``: the callback of an option that no command gets as an argument."""
    if value:
        ctx.find_root().meta[f"skillpm.{parameter.name}"] = value


def _options() -> list[click.Option]:
    return [
        click.Option(
            ["-C", "working_folder"], metavar="DIR", expose_value=False, is_eager=True, callback=_change_folder,
            help="Run in this folder.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, expose_value=False, callback=keep, help="Print no notes."),
        click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=keep, help="Print more notes."),
        click.Option(
            ["--no-color"], is_flag=True, expose_value=False, is_eager=True, callback=_without_colour,
            help="Use no colours, as with the variable NO_COLOR.",
        ),
    ]  # fmt: skip


def kept(name: str) -> Any:
    """Return the typed value of an option that is kept, or None."""
    context = click.get_current_context(silent=True)
    return context and context.find_root().meta.get(f"skillpm.{name}")


def is_set(name: str) -> bool:
    """Was an option typed that is kept, such as ``--quiet``, ``--json``, ``--user`` or ``--yes``?"""
    return bool(kept(name))


def is_typed(ctx: click.Context, *names: str) -> bool:
    """Was one of these parameters given on the command line?"""
    return any(ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in names)


def exit_with(code: int) -> None:
    """End the command with this exit code."""
    click.get_current_context().exit(code)


def printed() -> None:
    """Remember that stdout has its JSON document, so that an error that follows prints none."""
    context = click.get_current_context(silent=True)
    if context is not None and isinstance(context.obj, list):
        context.obj.append(True)


def _check_typed(parameter: click.Parameter) -> None:
    """Refuse what no parameter means: an empty text, which an unset variable is, and a number beyond 32 bits."""
    checked = parameter.callback

    def callback(ctx: click.Context, parameter: click.Parameter, value: Any) -> Any:
        texts = value if isinstance(value, tuple) else (value,)
        if "" in texts and is_typed(ctx, parameter.name or ""):
            raise click.BadParameter("the text is empty", ctx, parameter)
        if isinstance(value, int) and value > _MOST:
            raise UsageError(
                f"a number of {len(str(value))} digits is larger than {_MOST:,}",
                hint=f"see `{ctx.command_path} --help`",
            )
        return value if checked is None else checked(ctx, parameter, value)

    parameter.callback = callback


def add_options(command: click.Command, of_user: bool = False) -> click.Command:
    """Add the options to a command that does not have them, and the short forms of ``--user`` and ``--yes``.

    A command with ``of_user`` takes ``--user`` as well. No command takes an empty text.
    """
    if getattr(command, _ADDED, False):
        return command
    setattr(command, _ADDED, True)
    for parameter in command.params:
        if getattr(parameter, "flag_value", None) != "":  # what the option without a value means
            _check_typed(parameter)
    taken = {option for parameter in command.params for option in parameter.opts}
    for option in _options():
        option.opts = [name for name in option.opts if name not in taken]
        if option.opts:
            command.params.append(option)
    if of_user and "--user" not in taken:
        help_text = "Use the skills of your home folder, as `skillpm install --user` does."
        command.params.append(click.Option(["--user"], is_flag=True, expose_value=False, callback=keep, help=help_text))
    for parameter in command.params:
        if "--user" in parameter.opts:
            parameter.opts += ["-g", "--global"]
        if "--yes" in parameter.opts:
            parameter.opts.append("-y")
    if "--yes" not in taken and not isinstance(command, click.Group):
        help_text = "Ask nothing, which this command never does."
        quiet: dict[str, Any] = {"is_flag": True, "expose_value": False, "hidden": True}
        command.params.append(click.Option(["-y", "--yes"], help=help_text, **quiet))
    return command
