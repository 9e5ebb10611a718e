"""``skillpm score``: judge answers from outside with a skill's verifier."""

from __future__ import annotations

import json
import sys
from typing import BinaryIO

import click

from skillpm.cli.consent import grant_consents, worker_options, yes_option
from skillpm.cli.output import note, safe
from skillpm.errors import VerifierError


@click.command("score")
@click.argument("skill")
@click.argument("file", type=click.File("rb"), default="-")
@yes_option
@worker_options
def command(skill: str, file: BinaryIO, yes: bool, workers: int | None, sandbox: str | None) -> None:
    """Judge rows of JSON Lines with SKILL's verifier.

    Reads rows {"expected": ..., "completion": "..."} from FILE or stdin; `request` and `id` may be given, other keys
    are ignored. Writes for each row, in order, {status, score, components, reasons, rewards, argv}, with the row's
    `id` where it has one. A row that cannot be judged has the status `errored` and the score null; how many there are,
    and why the first, is said on stderr. Exits 9 where none could be judged.

    Output is a stream: at a bad row (exit 2, the line is named) the judgements of all rows before it have been written.
    """
    from skillpm.ops.context import open_context
    from skillpm.ops.learning.score import score_rows
    from skillpm.ops.learning.session import open_session
    from skillpm.settings import load_settings

    context = open_context(load_settings(workers=workers, sandbox=sandbox))
    found = context.skill(skill)
    for notice in context.notices:
        note(notice)
    grant_consents(context, [found], yes)
    with open_session(context, [found]) as session:
        session.scorer.describe(found)
        rows = errored = 0
        reason = ""
        for judgement in score_rows(file, session.scorer, session.contributions[found.name], path=file.name):
            sys.stdout.write(json.dumps(judgement, allow_nan=False) + "\n")
            rows += 1
            if judgement["status"] == "errored":
                reason = reason if errored else f"row {rows}: {' '.join(judgement['reasons'])}"
                errored += 1
    if errored and errored == rows:
        hint = f"run `skillpm selftest {skill}`, or look at the expected answers"
        none = "the only row could not" if rows == 1 else f"none of {rows} rows could"
        raise VerifierError(f"{none} be judged: {safe(reason)}", hint=hint, skill=found.name)
    if errored:
        note(f"{errored} of {rows} rows could not be judged, the first: {safe(reason)}")
