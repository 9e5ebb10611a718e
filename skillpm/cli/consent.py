"""Flags of the commands that run skill code, and consent: by ``--yes``, by a policy or by an answer."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.context import command_context
from skillpm.cli.options import combined, kept_option
from skillpm.cli.output import note, safe
from skillpm.settings.table import ENGINES, MAX_WORKERS, SANDBOX_OF_PLUGIN, SANDBOXES

if TYPE_CHECKING:
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context


class _SandboxChoice(click.Choice):  # type: ignore[type-arg]
    """A built-in level, or ``plugin:NAME``."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if SANDBOX_OF_PLUGIN.match(str(value)) else super().convert(value, param, ctx)


yes_option = kept_option("--yes", is_flag=True, help="Allow the code of these skills to run in the sandbox.")
worker_options = combined(
    kept_option(
        "--workers",
        type=click.IntRange(1, MAX_WORKERS),
        metavar="N",
        help="Judging processes for each skill.  [default: 1]",
    ),
    kept_option(
        "--sandbox",
        type=_SandboxChoice(SANDBOXES),
        help="How to confine skill code. `require` refuses limits alone; `plugin:NAME` is a plugin's level.",
    ),
)
code_options = combined(yes_option, worker_options)
engine_option = kept_option(
    "--engine",
    type=click.Choice(ENGINES),
    help="Where judging processes run: here, or on the nodes of a Ray cluster.  [default: processes]",
)


def agreed_skills(texts: Sequence[str]) -> tuple[Context, list[Skill]]:
    """Return the context of a command that runs skill code, and the chosen skills, by default all, with consent.

    Raises:
        UsageError: there is no skill to run, or no skill of that name is installed.
        ConsentError: the person did not agree, or there is no terminal to ask on.
        PolicyError: a policy forbids skill code.
    """
    context = command_context()
    return context, grant_consents(context, context.skills(texts))


def grant_consents(context: Context, skills: Sequence[Skill]) -> list[Skill]:
    """Seal skills, obtain consent for their code from a person or a policy, and return the sealed skills.

    Raises:
        IntegrityError: a folder has a link, a device or another irregular entry.
        ConsentError: the person did not agree, or there is no terminal to ask on.
        PolicyError: a policy forbids skill code.
    """
    from skillpm.ops.learning.session import open_consents, open_sandbox, sealed_skills

    consents, skills = open_consents(context), sealed_skills(context, skills)
    missing = consents.grant_by_policy(skills)
    if missing and is_set("yes"):
        consents.grant(*missing, by="--yes")
    elif sys.stdin.isatty() and sys.stderr.isatty():
        for request in missing:
            for line in (*request.lines(), f"  confined by {open_sandbox(context)}"):
                note(line)
            if click.confirm(f"Run the code of {safe(request.skill)}?", err=True):
                consents.grant(request, by="answer")
    consents.demand(skills)
    return skills
