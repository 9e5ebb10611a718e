"""Opens what a command works on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from skillpm.cli.output import note

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
