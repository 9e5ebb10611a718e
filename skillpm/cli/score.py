"""``skillpm score``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

import click

from skillpm.cli.complete import known_names
from skillpm.cli.consent import agreed_skills, code_options
from skillpm.cli.output import note, safe
from skillpm.cli.paths import Stream
from skillpm.cli.process import if_interrupted
from skillpm.errors import VerifierError


@click.command("score")
@click.argument("skill", shell_complete=known_names)
@click.argument("file", type=Stream("rb"), default="-")
@code_options
@if_interrupted("the judgements that are printed stand")
def command(skill: str, file: BinaryIO) -> None:
    """Judge rows of JSON Lines with SKILL's verifier.

    Reads rows {"expected": ..., "completion": "..."} from FILE or stdin. `request` and `id` are optional, other keys
    are ignored. Writes {status, score, components, reasons, rewards, argv} for each row, in order, with the row's `id`
    if it has one. A row that cannot be judged has the status `errored` and the score null; stderr has their number and
    the first reason. Exits 9 if no row could be judged, and 2 if there is none.

    Output is a stream: a blank line asks for the judgements of all rows before it. At an invalid row (exit 2 with its
    line) the judgements of all rows before it are written.
    """
    from skillpm.ops.learning.score import score

    def write(judgement: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(judgement, allow_nan=False) + "\n")

    def lines() -> Iterator[bytes]:
        for line in file:
            yield line
            if not line.strip():
                sys.stdout.flush()  # what the line asked for has been written

    context, (chosen,) = agreed_skills((skill,))
    if file.isatty():
        note("reading rows from the terminal; Ctrl-D ends them")
    scoring = score(context, chosen, lines(), write, path=file.name)
    if scoring.errored and scoring.errored == scoring.rows:
        hint = f"run `skillpm selftest {chosen.word}`, or look at the expected answers"
        none = "the only row could not" if scoring.rows == 1 else f"none of {scoring.rows} rows could"
        raise VerifierError(f"{none} be judged: {safe(scoring.reason)}", hint=hint, skill=chosen.name)
    if scoring.errored:
        note(f"{scoring.errored} of {scoring.rows} rows could not be judged, the first: {scoring.reason}")
