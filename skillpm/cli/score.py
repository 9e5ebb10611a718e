"""``skillpm score``: judge answers from outside with a skill's verifier."""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO

import click

from skillpm.cli.consent import agreed_skills, worker_options, yes_option
from skillpm.cli.output import note, safe
from skillpm.errors import VerifierError


@click.command("score")
@click.argument("skill")
@click.argument("file", type=click.File("rb"), default="-")
@yes_option
@worker_options
def command(skill: str, file: BinaryIO, **agreement: Any) -> None:
    """Judge rows of JSON Lines with SKILL's verifier.

    Reads rows {"expected": ..., "completion": "..."} from FILE or stdin; `request` and `id` may be given, other keys
    are ignored. Writes for each row, in order, {status, score, components, reasons, rewards, argv}, with the row's
    `id` where it has one. A row that cannot be judged has the status `errored` and the score null; how many there are,
    and why the first, is said on stderr. Exits 9 where none could be judged.

    Output is a stream: at a bad row (exit 2, the line is named) the judgements of all rows before it have been written.
    """
    from skillpm.ops.learning.score import score

    def write(judgement: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(judgement, allow_nan=False) + "\n")

    context, (chosen,) = agreed_skills((skill,), **agreement)
    scoring = score(context, chosen, file, write, path=file.name)
    if scoring.errored and scoring.errored == scoring.rows:
        hint = f"run `skillpm selftest {skill}`, or look at the expected answers"
        none = "the only row could not" if scoring.rows == 1 else f"none of {scoring.rows} rows could"
        raise VerifierError(f"{none} be judged: {safe(scoring.reason)}", hint=hint, skill=chosen.name)
    if scoring.errored:
        note(f"{scoring.errored} of {scoring.rows} rows could not be judged, the first: {safe(scoring.reason)}")
