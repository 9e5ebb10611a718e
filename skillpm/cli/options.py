"""Options that several commands share."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

import click

from skillpm.cli.common_options import keep
from skillpm.cli.complete import agent_names, registry_names, run_names
from skillpm.cli.paths import TypedPath
from skillpm.errors import UsageError


class FiniteRange(click.FloatRange):
    """A number between bounds: ``nan`` lies between all bounds, and ``inf`` where there is no upper one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; click shows what is wrong with it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


_LENGTH = 4096  # characters of a key
F = TypeVar("F", bound=Callable[..., Any])


def combined(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return the decorator that adds these options, in this order in the help."""
    return lambda function: reduce(lambda decorated, option: option(decorated), reversed(options), function)


def kept_option(*names: str, **more: Any) -> Callable[[F], F]:
    """Return the decorator that adds an option whose value is ``kept``; ``command_settings`` reads some."""
    return click.option(*names, expose_value=False, callback=keep, **more)


def user_option(text: str) -> Callable[[F], F]:
    """Return the decorator that adds ``--user``."""
    return kept_option("--user", is_flag=True, help=text)


def number_option(
    name: str, kind: click.ParamType[Any] | type[int], default: float, text: str, metavar: str = "N"
) -> Callable[[F], F]:
    """Return the decorator that adds an option with a number, whose default stands in the help."""
    return click.option(name, type=kind, default=default, show_default=True, metavar=metavar, help=text)


def choice_option(*names: str, choices: Sequence[str], default: str, text: str) -> Callable[[F], F]:
    """Return the decorator that adds an option with a few values, whose default stands in the help."""
    return click.option(*names, type=click.Choice(choices), default=default, show_default=True, help=text)


def model_option(text: str) -> Callable[[F], F]:
    """Return the decorator that adds ``--model``."""
    return click.option("--model", "-m", metavar="MODEL", help=text)


def run_option(text: str, *names: str, metavar: str = "RUN") -> Callable[[F], F]:
    """Return the decorator that adds ``--run``, or an option of other names that takes a run as well."""
    return click.option(*(names or ("--run",)), shell_complete=run_names, type=TypedPath(), metavar=metavar, help=text)


def agents_option(text: str) -> Callable[[F], F]:
    """Return the decorator that adds ``--agent`` (as ``agents``), which may be repeated."""
    return click.option("--agent", "agents", shell_complete=agent_names, metavar="NAME", multiple=True, help=text)


def registry_option(text: str, metavar: str = "PLACE", **more: Any) -> Callable[[F], F]:
    """Return the decorator that adds ``--registry``; ``more`` as for ``click.option``."""
    return click.option("--registry", shell_complete=registry_names, metavar=metavar, help=text, **more)


def indexes_option(use: str) -> Callable[[F], F]:
    """Return the decorator that adds ``--registry`` (as ``indexes``), which may be repeated."""
    text = f"{use}; may be repeated."
    return kept_option(
        "--registry", "indexes", shell_complete=registry_names, metavar="PLACE", multiple=True, help=text
    )


def registry_options(use: str = "Use this registry") -> Callable[[F], F]:
    """Return the decorator that adds ``--registry`` (as ``indexes``, with this help) and ``--offline``."""
    return combined(indexes_option(use), kept_option("--offline", is_flag=True, help="Use the cache only."))


place_option = registry_option(
    "A folder, https://…, oci://…, or a name in the settings.  [default: the one where you are logged in]", default=""
)


def _opened(ctx: click.Context, parameter: click.Parameter, text: str) -> Any:
    from skillpm.cli.context import command_context
    from skillpm.ops.authoring.account import server

    return None if ctx.resilient_parsing else server(command_context(), text)


# the command gets the server of the registry
server_option = registry_option(
    "The registry.  [default: the one where you are logged in]", "URL", default="", callback=_opened
)
signer_option = kept_option(
    "--allow-signer-change",
    "signer_changes",
    metavar="NAME",
    multiple=True,
    help="Accept another signer of this skill, or none; may be repeated.",
)
allow_option = click.option(
    "--allow",
    "allowed",
    metavar="[SKILL:]RULE",
    multiple=True,
    help="Accept the findings of this scan rule, which you have reviewed; may be repeated.",
)
# from stdin: a value on the command line would stand in logs and in the process list
key_option = click.option("--key-stdin", is_flag=True, help="Read the key of the server from the first line of stdin.")


def read_key(options: Mapping[str, Any]) -> None:
    """Take the key of a server from stdin, for this process alone, where ``--key-stdin`` asks for it.

    Raises:
        UsageError: the model is not behind a server, or stdin has no key.
    """
    from skillpm.index.credentials import token_variable

    if not options["key_stdin"]:
        return
    model = str(options["model"])
    if not model.startswith(("http://", "https://")):
        raise UsageError("`--key-stdin` is for a server", hint="add `--model https://HOST/v1#MODEL`")
    key = sys.stdin.readline(_LENGTH).strip()
    if not key:
        raise UsageError("stdin has no key in its first line", hint="such as `pass show key | skillpm … --key-stdin`")
    os.environ[token_variable(model)] = key
