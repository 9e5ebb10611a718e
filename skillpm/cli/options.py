"""Options that several commands share."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import reduce
from typing import Any, TypeVar

import click

from skillpm.cli.complete import registry_names


class FiniteRange(click.FloatRange):
    """A number between bounds: ``nan`` lies between all bounds, and ``inf`` where there is no upper one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number; click shows what is wrong with it."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is not a finite number.", param, ctx)
        return number


F = TypeVar("F", bound=Callable[..., Any])


def combined(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Return the decorator that adds these options, in this order in the help."""
    return lambda function: reduce(lambda decorated, option: option(decorated), reversed(options), function)


def number_option(
    name: str, kind: click.ParamType[Any] | type[int], default: float, text: str, metavar: str = "N"
) -> Callable[[F], F]:
    """Return the decorator that adds an option with a number, whose default stands in the help."""
    return click.option(name, type=kind, default=default, show_default=True, metavar=metavar, help=text)


def registry_options(use: str = "Use this registry") -> Callable[[F], F]:
    """Return the decorator that adds ``--registry`` (as ``indexes``, with this help) and ``--offline``."""
    return combined(
        click.option(
            "--registry", "indexes", shell_complete=registry_names, metavar="PLACE", multiple=True,
            help=f"{use}; may be repeated.",
        ),
        click.option("--offline", is_flag=True, help="Use the cache only."),
    )  # fmt: skip


server_option = click.option(
    "--registry",
    shell_complete=registry_names,
    metavar="URL",
    default="",
    help="The registry.  [default: the one where you are logged in]",
)
place_option = click.option(
    "--registry",
    shell_complete=registry_names,
    metavar="PLACE",
    required=True,
    help="A folder, https://…, oci://…, or the name of a registry in the settings.",
)
signer_option = click.option(
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
