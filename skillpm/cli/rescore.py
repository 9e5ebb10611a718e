"""``skillpm rescore``."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.complete import known_names, run_names
from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.output import json_option, note, print_json, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted

if TYPE_CHECKING:
    from skillpm.model.evaluation import Record
    from skillpm.ops.learning.rescore import Rescored

SHOWN = 20  # changed answers in the table; `--json` has all


@click.command("rescore", epilog="Example: skillpm rescore runs/20261120-093000-run ./skills/incident-triage")
@click.argument("run", type=TypedPath(), shell_complete=run_names)
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", help="A new folder for the new judgements.")
@click.option("--check", is_flag=True, help="Exit 1 if a verdict changed.")
@code_options
@json_option
@if_interrupted("nothing was written, the same command begins again")
def command(run: Path, skills: tuple[str, ...], output: Path | None, check: bool) -> None:
    """Judge the stored answers of RUN again, with the current skills and without a model.

    RUN is a run by name or folder, `latest`, the output of `skillpm eval`, or an evaluation's file. A SKILL, by name or
    folder, replaces the installed skill of its name. An unchanged skill gives the same bytes; for a changed skill, the
    changed verdicts are listed. The stored answers stay as they are.
    """
    from skillpm.ops.learning.rescore import rescore, stored_skills
    from skillpm.ops.learning.runs import find_run

    context = command_context()
    run = find_run(context.settings, run)
    judges = stored_skills(context, run, skills)
    grant_consents(context, judges)
    rescored = rescore(context, run, judges, output=output)
    if not print_json(rescored):
        _print(rescored)
    if output is not None:
        note(f"written: {output}; `skillpm report {output}` shows the figures")
    exit_with(1 if check and rescored.moves else 0)


def _print(rescored: Rescored) -> None:
    table(
        ("evaluation", "answers", "moved", "bytes"),
        [
            (item.path, item.answers, item.moves, "the same" if item.unchanged else "different")
            for item in rescored.documents
        ],
    )
    for name, then, now in rescored.changed:
        note(f"{name} has changed: it was {then[:12]} and is now {now[:12]}")
    if not rescored.moves:
        return
    click.echo()
    rows = [
        (
            item.arm,
            item.before.skill,
            item.before.suite,
            item.before.request[:60],
            *map(_seen, (item.before, item.after)),
        )
        for item in islice(rescored.moved, SHOWN)
    ]
    table(("arm", "skill", "suite", "request", "was", "is"), rows)
    if rescored.moves > SHOWN:
        note(f"and {rescored.moves - SHOWN} more; `--json` lists all")


def _seen(record: Record) -> str:
    score = record.verdict.score
    return record.verdict.status if score is None else f"{record.verdict.status} {score:g}"
