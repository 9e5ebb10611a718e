"""The context of a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from skillpm.cli.everywhere import is_set
from skillpm.cli.output import note, tell_project

if TYPE_CHECKING:
    from skillpm.ops.context import Context
    from skillpm.settings import Settings


def _with_user(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with the ``--user`` that ``everywhere`` adds to commands."""
    return {"user": is_set("user"), **flags}


def command_context(**flags: Any) -> Context:
    """Return the context of a command, for flags of ``load_settings``. Its notices go to stderr at once."""
    from skillpm.ops.context import Context
    from skillpm.settings import load_settings

    return Context(load_settings(**_with_user(flags)), tell=note)


def changing_context(**flags: Any) -> Context:
    """Return the context of a command that changes the project, and print the project if it is in a parent folder.

    The result of such a command holds its notices as warnings. If it fails, there is no result, and they are printed.
    """
    from skillpm.settings import load_settings

    settings = load_settings(**_with_user(flags))
    tell_project(settings)
    return collecting_context(settings)


def collecting_context(settings: Settings) -> Context:
    """Return a context whose notices stand in the result; a command that fails has none, and prints them.

    One of them is the root of a registry, which is pinned once.
    """
    import click

    from skillpm.ops.context import Context

    context = Context(settings)

    def tell_of_failure() -> None:
        for sentence in context.notices if sys.exc_info()[1] is not None else ():
            note(f"warning: {sentence}")

    click.get_current_context().call_on_close(tell_of_failure)
    return context
