"""Opens what a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skillpm.cli.output import note, tell_project

if TYPE_CHECKING:
    from skillpm.ops.context import Context


def command_context(**flags: Any) -> Context:
    """Return the context of a command; what it has to say to the person goes to stderr as it comes.

    Args:
        flags: what ``load_settings`` takes.
    """
    from skillpm.ops.context import open_context
    from skillpm.settings import load_settings

    return open_context(load_settings(**flags), tell=note)


def changing_context(**flags: Any) -> Context:
    """Return the context of a command that changes the project; where that is a folder above, it is named.

    What there is to say to the person stands in the result of such a command, as warnings.

    Args:
        flags: what ``load_settings`` takes.
    """
    from skillpm.ops.context import open_context
    from skillpm.settings import load_settings

    settings = load_settings(**flags)
    tell_project(settings)
    return open_context(settings)
