"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from skillpm.cli.complete import registry_names

F = TypeVar("F", bound=Callable[..., Any])


def registry_options(use: str = "Use this registry") -> Callable[[F], F]:
    """Return the decorator that adds ``--registry`` (as ``indexes``, with this help) and ``--offline``."""

    def add(function: F) -> F:
        function = click.option("--offline", is_flag=True, help="Use the cache only; open no connection.")(function)
        return click.option(
            "--registry", "indexes", shell_complete=registry_names, metavar="PLACE", multiple=True,
            help=f"{use}; may be repeated.",
        )(function)  # fmt: skip

    return add


signer_option = click.option(
    "--allow-signer-change",
    "signer_changes",
    metavar="NAME",
    multiple=True,
    help="Accept another signer of this skill, or none; may be repeated.",
)
