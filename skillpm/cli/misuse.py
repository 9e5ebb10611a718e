"""Errors in the command line: click's message in our form, with a hint."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import click

from skillpm.cli import other_managers
from skillpm.cli.common_options import add_options
from skillpm.errors import UsageError

_MOST = 400  # characters of a message, which quotes the typed text
_QUOTED = re.compile(r"(?<!\w)'([^']*)'(?!\w)")


class SuggestingGroup(click.Group):
    """A group of commands that suggests a name for a mistyped one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with. Raises UsageError if there is none."""
        name, known = args[0], self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            raise _unknown_command(name[:80], known, ctx.command_path)
        return super().resolve_command(ctx, args)


class Group(SuggestingGroup):
    """A group whose commands take the common options."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command of the group."""
        command = super().get_command(ctx, cmd_name)
        return add_options(command) if command is not None else None


def misuse(error: click.ClickException) -> UsageError:
    """Return click's error as a UsageError with a hint."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is None:  # click's parser does not name the command
        return UsageError(_plain(error.format_message()), hint="add `--help` to the command to see its options")
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error.option_name[:80], context)
    parameter = error.param if isinstance(error, click.BadParameter) else None
    message = _plain(error.format_message()) if parameter is None else _bad_value(error, parameter, context)
    example = (context.command.epilog or "").removeprefix("Example: ")
    see = f"see `{context.command_path} --help`"
    return UsageError(message, hint=f"such as `{example}`; {see}" if example else see)


def _unknown_command(name: str, known: Iterable[str], group: str) -> UsageError:
    from skillpm.model.name import meant, near_names

    message = f"there is no command `{group} {name}`"
    if name in ("self-update", "self", "self-upgrade"):
        return UsageError(message, hint="upgrade skillpm-core")
    ours = other_managers.COMMANDS.get(f"{group} {name}".removeprefix("skillpm "))
    verbs = [verb for verb in other_managers.VERBS.get(name, ()) if verb in known]
    if group in ("skillpm", "skillpm registry") and name in other_managers.SERVER:
        return UsageError(message, hint=meant([f"skillpm-registry {name}"]))
    near = [f"skillpm {ours}"] if ours else [f"{group} {item}" for item in verbs[:1] or near_names(name, known)]
    return UsageError(message, hint=meant(near) or f"see `{group} --help`")


def _unknown_option(name: str, context: click.Context) -> UsageError:
    from skillpm.model.name import did_you_mean

    path, above, command = context.command_path, context.parent, context.command
    message = f"`{path}` has no option `{name}`"
    instead = other_managers.OPTIONS.get(path.removeprefix("skillpm "), {}).get(name)
    if instead:
        return UsageError(message, hint=instead)
    parameters = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
    options = [option for item in parameters for option in (*item.opts, *item.secondary_opts) if len(option) > 2]
    otherwise = f"see `{path} --help`"
    if above and any(name in parameter.opts for parameter in above.command.params):
        otherwise = f"put it before the command: `{above.command_path} {name} {context.info_name}`"
    elif isinstance(command, click.Group):
        otherwise = f"put options after the command; see `{path} --help`"
    return UsageError(message, hint=did_you_mean(other_managers.ANYWHERE.get(name, name), options, otherwise))


def _bad_value(error: click.ClickException, parameter: click.Parameter, context: click.Context) -> str:
    typed = isinstance(parameter, click.Option)
    label = f"`{max(parameter.opts, key=len) if typed else parameter.human_readable_name}`"
    kind = parameter.type
    if isinstance(error, click.MissingParameter):
        choices = f", one of {', '.join(map(str, kind.choices))}" if isinstance(kind, click.Choice) else ""
        return f"`{context.command_path}` needs {label}{choices}"
    if isinstance(kind, click.types.IntParamType):
        return f"{label} must be a whole number{_limits(kind)}"
    if isinstance(kind, click.types.FloatParamType):
        return f"{label} must be a number{_limits(kind)}"
    return f"{label}: {_plain(error.message)}"


def _limits(kind: click.ParamType[Any]) -> str:
    """Return the bounds of a range in words; nothing for a number without bounds."""
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if least is None:
        return ""
    if getattr(kind, "min_open", False):
        return f", more than {least:,}" + ("" if most is None else f" and at most {most:,}")
    return f", {least:,} or more" if most is None else f" from {least:,} to {most:,}"


def _plain(message: str) -> str:
    """Return click's sentence in the form of our messages: one line, lower-case start, no full stop, backquotes."""
    text = _QUOTED.sub(r"`\1`", " ".join(message.split()).rstrip("."))
    return text[:1].lower() + (text[1:] if len(text) <= _MOST else f"{text[1:_MOST]}…")
