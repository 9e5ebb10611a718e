"""The context of a command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skillpm.cli.everywhere import is_set
from skillpm.cli.output import note, tell_project

if TYPE_CHECKING:
    from skillpm.ops.context import Context


def _with_user(flags: dict[str, Any]) -> dict[str, Any]:
    """Return the flags with the ``--user`` that ``everywhere`` adds to commands."""
    return {"user": is_set("user"), **flags}


def command_context(**flags: Any) -> Context:
    """Return the context of a command, for flags of ``load_settings``. Its notices go to stderr at once."""
    from skillpm.ops.context import open_context
    from skillpm.settings import load_settings

    return open_context(load_settings(**_with_user(flags)), tell=note)


def changing_context(**flags: Any) -> Context:
    """Return the context of a command that changes the project, and print the project if it is in a parent folder.

    The result of such a command holds its notices as warnings.
    """
    from skillpm.ops.context import open_context
    from skillpm.settings import load_settings

    settings = load_settings(**_with_user(flags))
    tell_project(settings)
    return open_context(settings)
