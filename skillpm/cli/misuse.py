"""What is wrong with a command line, in the words of our own errors: click finds it, and says it in another voice."""

from __future__ import annotations

import re
from collections.abc import Iterable

import click

from skillpm.errors import UsageError
from skillpm.model.name import near_names

# what other package managers call it
_ELSEWHERE = {
    "add": "install",
    "bump": "version bump",
    "check": "validate",
    "clean": "cache prune",
    "create": "new",
    "delete": "uninstall",
    "evaluate": "eval",
    "find": "search",
    "graph": "tree",
    "help": "--help",
    "info": "show",
    "lint": "validate",
    "ls": "list",
    "prune": "cache prune",
    "remove": "uninstall",
    "rm": "uninstall",
    "test": "selftest",
    "upgrade": "update",
}

# what options of ours were called, or what others call them
_FORMERLY = {"--index": "--registry", "--index-url": "--registry"}

_COMMAND = re.compile(r"No such command '(.*?)'\.", re.DOTALL)
_SURPLUS = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)
_VALUE = re.compile(r"Option '(.*?)' (requires|does not take)", re.DOTALL)
_NUMBER = re.compile(r"'(.*)' is not a valid (integer|float)", re.DOTALL)
_RANGE = re.compile(r"(\S+) is not in the range")
_FILE = re.compile(r"(?:Path|File|Directory) ('.*'|\".*\") (.*?)\.", re.DOTALL)
_CHOICE = re.compile(r"('.*?'|\".*?\") is not one of", re.DOTALL)
_OPTIONAL = re.compile(r"(?<=\S)\s*\[.*?\]")
_QUOTED = re.compile(r"'([^']*)'")


def misuse(error: click.ClickException) -> UsageError:
    """Return what click found, as an error of ours that says what to do next."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if found := _VALUE.match(error.message):
        text = "needs a value" if found[2] == "requires" else "takes no value"
        return UsageError(f"{_quoted(found[1])} {text}", hint="`--help` behind the command says what it takes")
    if context is None:
        return UsageError(_plain(error.format_message()), hint="see `skillpm --help`")
    if isinstance(error, click.NoSuchOption):
        return _unknown_option(error.option_name, context)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        return UsageError(f"`{context.command_path}` needs {_what(error.param, context)}", hint=_example(context))
    if isinstance(error, click.BadParameter) and error.param is not None:
        return _bad_value(error, error.param, context)
    if found := _COMMAND.match(error.message):
        assert isinstance(context.command, click.Group)
        return unknown_command(found[1], context.command.list_commands(context), context.command_path)
    if found := _SURPLUS.match(error.message):
        return UsageError(f"`{context.command_path}` does not take {_quoted(found[1])}", hint=_example(context))
    return UsageError(_plain(error.format_message()), hint=_example(context))


def unknown_command(name: str, known: Iterable[str], group: str = "skillpm") -> UsageError:
    """Return the error for a command that there is not, with what may have been meant."""
    near = near_names(name[:80], known)
    if group == "skillpm" and name in _ELSEWHERE:
        near = [_ELSEWHERE[name]]
    meant = " or ".join(_quoted(f"{group} {item}") for item in near)
    return UsageError(
        f"there is no command {_quoted(f'{group} {name}')}", hint=_meant(meant) or f"see `{group} --help`"
    )


def _unknown_option(name: str, context: click.Context) -> UsageError:
    path, above = context.command_path, context.parent
    message = f"`{path}` has no option {_quoted(name)}"
    near = _near_options(name, context.command)
    if near:
        return UsageError(message, hint=_meant(" or ".join(map(_quoted, near))))
    if above is not None and any(name in parameter.opts for parameter in above.command.params):
        return UsageError(
            message, hint=f"it stands before the command: `{above.command_path} {name} {context.info_name}`"
        )
    if isinstance(context.command, click.Group):
        return UsageError(message, hint=f"options stand behind the command; see `{path} --help`")
    return UsageError(message, hint=f"see `{path} --help`")


def _near_options(name: str, command: click.Command) -> list[str]:
    options = {
        option.lstrip("-"): option
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    if _FORMERLY.get(name) in options.values():
        return [_FORMERLY[name]]
    return [options[item] for item in near_names(name.lstrip("-")[:80], options)]


def _bad_value(error: click.BadParameter, parameter: click.Parameter, context: click.Context) -> UsageError:
    place, kind = _label(parameter), parameter.type
    if isinstance(kind, click.Choice) and (found := _CHOICE.match(error.message)):
        typed = found[1][1:-1]
        choices = [str(choice) for choice in kind.choices]
        near = " or ".join(map(_quoted, near_names(typed, choices)))
        hint = _meant(near) or _example(context)
        return UsageError(f"{place} is one of {', '.join(choices)}, not {_quoted(typed)}", hint=hint)
    if found := _RANGE.match(error.message):
        return UsageError(f"{place} is {_range(kind)}, not {found[1]}", hint=_example(context))
    if found := _NUMBER.match(error.message):
        number = "a whole number" if found[2] == "integer" else "a number"
        return UsageError(f"{place} is {number}, not {_quoted(found[1])}", hint=_example(context))
    if found := _FILE.match(error.message):
        return UsageError(f"{place}: {_quoted(found[1][1:-1])} {found[2]}", hint="check the path")
    return UsageError(f"{place}: {_plain(error.message)}", hint=_example(context))


def _range(kind: object) -> str:
    least, most = getattr(kind, "min", None), getattr(kind, "max", None)
    if most is None:
        return f"{least:,} or more"
    return f"{most:,} or less" if least is None else f"{least:,} to {most:,}"


def _what(parameter: click.Parameter, context: click.Context) -> str:
    """Return what is missing as one would type it."""
    label = _label(parameter)
    if isinstance(parameter, click.Option):
        return f"`{label[1:-1]} {parameter.make_metavar(context)}`"
    choices = (
        f", one of {', '.join(map(str, parameter.type.choices))}" if isinstance(parameter.type, click.Choice) else ""
    )
    return f"{label}{choices}"


def _label(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return f"`{max(parameter.opts, key=len)}`"
    metavar = _OPTIONAL.sub("", parameter.metavar or (parameter.name or "").upper())
    return metavar.replace("[", "").replace("]", "").rstrip(".")


def _example(context: click.Context) -> str:
    example = (context.command.epilog or "").removeprefix("Example: ")
    see = f"see `{context.command_path} --help`"
    return f"such as `{example}`; {see}" if example else see


def _meant(names: str) -> str:
    return f"did you mean {names}?" if names else ""


def _quoted(text: str) -> str:
    return f"`{text[:80]}`"


def _plain(message: str) -> str:
    """Return click's sentence as our messages are written: no capital, no full stop, quotes as ours."""
    text = _QUOTED.sub(r"`\1`", message.rstrip("."))
    return text[:1].lower() + text[1:]
