"""Asking before a skill's code runs: ``--yes``, a question on a terminal, or an error saying what would run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from skillpm.cli.output import note, safe

if TYPE_CHECKING:
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context

__all__ = ["grant_consents", "yes_option"]

F = TypeVar("F", bound=Callable[..., Any])


def yes_option(function: F) -> F:
    """Add ``--yes``."""
    return click.option("--yes", is_flag=True, help="Agree that the code of these skills runs, confined.")(function)


def grant_consents(context: Context, skills: Sequence[Skill], yes: bool) -> None:
    """See to it that the code of these skills may run; what is agreed to is recorded for exactly this content.

    Raises:
        ConsentError: the person did not agree, or cannot be asked.
    """
    from skillpm.runtime.consent import Consents, explain

    consents = Consents(context.settings.consents)
    missing = consents.missing(skills)
    if not yes and sys.stdin.isatty() and sys.stderr.isatty():
        for skill in missing:
            note(safe(explain(skill)))
            if click.confirm(f"Run the code of {safe(skill)}?", err=True):
                consents.grant(skill)
    elif yes:
        for skill in missing:
            consents.grant(skill)
    consents.demand(skills)
