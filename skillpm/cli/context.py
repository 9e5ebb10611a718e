"""The context of a command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from skillpm.cli.common_options import is_set, kept
from skillpm.cli.output import note, tell_project

if TYPE_CHECKING:
    from skillpm.ops.context import Context
    from skillpm.settings import Settings


_OPTIONS = ("user", "indexes", "offline", "signer_changes", "workers", "sandbox", "engine")


def command_settings(**more: Any) -> Settings:
    """Return the settings of a command: what its options say, and more flags of ``load_settings``."""
    from skillpm.settings import load_settings

    return load_settings(**{name: kept(name) for name in _OPTIONS if is_set(name)}, **more)


def command_context(**more: Any) -> Context:
    """Return the context of a command, for the flags of ``command_settings``. Its notices go to stderr at once."""
    from skillpm.ops.context import Context

    return Context(command_settings(**more), tell=note)


def note_nothing_installed(context: Context) -> None:
    """Say that no skill is installed, and what installs those that the project requires."""
    document = context.settings.document
    what = "run `skillpm sync` for what skillpm.yaml requires" if document and document.requires else ""
    note(f"no skill is installed here; {what or 'run `skillpm install NAME`'}")


def changing_context() -> Context:
    """Return the context of a command that changes the project, and print the project if it is in a parent folder.

    The result of such a command holds its notices as warnings. If it fails, there is no result, and they are printed.
    """
    settings = command_settings()
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
