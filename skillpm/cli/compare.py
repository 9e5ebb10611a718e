"""``skillpm compare`` and ``skillpm gate``."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with, is_set
from skillpm.cli.complete import run_names
from skillpm.cli.context import command_context
from skillpm.cli.options import FiniteRange, number_option, run_option
from skillpm.cli.output import echo_json, json_option, note, print_json, safe, table
from skillpm.cli.paths import TypedPath
from skillpm.errors import CheckError, InconclusiveError
from skillpm.formats.as_json import StreamedArray, as_json

if TYPE_CHECKING:
    from skillpm.evals.compare import Comparison
    from skillpm.evals.decision import Decision
    from skillpm.ops.learning.compare import ChosenArm

EXIT_CODES = {"GO": 0, "NO-GO": CheckError.exit_code, "INCONCLUSIVE": InconclusiveError.exit_code}


def _choose(target: Path, arm: str | None) -> ChosenArm:
    from skillpm.ops.learning.compare import choose_arm

    return choose_arm(command_context().settings, target, arm)


@click.command("compare", epilog="Example: skillpm compare first-run latest --flips")
@click.argument("first", shell_complete=run_names, type=TypedPath(), metavar="A")
@click.argument("second", shell_complete=run_names, type=TypedPath(), metavar="B")
@click.option("--arm", metavar="NAME", help="The arm of B, and of A without --arm-of-a.  [default: the last one]")
@click.option("--arm-of-a", metavar="NAME", help="The arm of A.")
@click.option("--flips", is_flag=True, help="Print the tasks that only one of them got right, as JSON Lines.")
@json_option
def command(first: Path, second: Path, arm: str | None, arm_of_a: str | None, flips: bool) -> None:
    """Pair two stored evaluations task by task, without a model.

    A and B are evaluations as `skillpm report` takes them: a file, an output folder, or a run by name, folder or
    `latest`. It calls a difference better or worse only if the exact paired test supports it.
    """
    from skillpm.ops.learning.compare import compare_arms

    compared = compare_arms(_choose(first, arm_of_a or arm), _choose(second, arm))
    if is_set("json"):
        sides = {
            side: {"file": item.file, "arm": item.arm.name, "model": item.arm.model}
            for side, item in (("first", compared.first), ("second", compared.second))
        }
        pairs = compared.comparisons
        echo_json({**sides, "comparisons": pairs, "flips": StreamedArray(compared.flips), "caveats": compared.caveats})
        return
    if flips:
        flipped = False
        for flip in compared.flips:
            flipped = True
            click.echo(json.dumps(as_json(flip), ensure_ascii=False))
        if not flipped:
            note("no task flipped")
    else:
        print_pairs(compared.comparisons)
    for side, item in (("A", compared.first), ("B", compared.second)):
        note(f"{side} is {item.arm.name} in {item.file}")
    for caveat in compared.caveats:
        note(caveat)


def print_pairs(comparisons: Iterable[Comparison]) -> None:
    """Print comparisons of two arms, one for each task set."""
    from skillpm.evals.summary import comparison_table

    columns, lines = comparison_table(comparisons)
    table(_without_arms(columns), [_without_arms(line) for line in lines])


def print_decision(decision: Decision) -> None:
    """Print what each gate and each comparison says, and the word."""
    for finding in decision.findings:
        click.echo(f"{finding.word:<12}  {safe(finding.sentence)}")
    click.echo(f"\n{decision.word}")
    for caveat in decision.caveats:
        note(caveat)


def _without_arms(cells: list[str]) -> list[str]:
    """Leave out the columns of the arms, which are A and B in every line."""
    return [*cells[:2], *cells[4:]]


@click.command("gate", epilog="Example: skillpm gate latest --baseline first-run")
@click.argument("candidate", shell_complete=run_names, type=TypedPath(), metavar="EVALUATION")
@run_option("The evaluation to reach.", "--baseline", "-b", metavar="EVALUATION")
@run_option("An evaluation whose lower ends are the least that is let through.", "--floors", metavar="EVALUATION")
@click.option("--arm", metavar="NAME", help="The arm to decide about.  [default: the last one]")
@number_option(
    "--margin", FiniteRange(0, 1), 0.05, "The share of exact answers that it may lose to the baseline.", "SHARE"
)
@json_option
def gate(candidate: Path, baseline: Path | None, floors: Path | None, arm: str | None, margin: float) -> None:
    """Decide whether an evaluated model is let through: GO, NO-GO or INCONCLUSIVE.

    GO needs every gate of its suites reached and, with --baseline, no loss beyond the margin on any task set, both at
    the near end of the 95 % interval. With --floors, it needs the lower end that each task set had there. The answer is
    NO-GO if the far end misses. Everything between, and fewer than ten pairs, is INCONCLUSIVE. Exits 0, 1 or 11.
    """
    from skillpm.ops.learning.compare import decide_candidate

    reach, earlier = (None if other is None else _choose(other, None) for other in (baseline, floors))
    decision = decide_candidate(_choose(candidate, arm), reach, margin, earlier)
    code = EXIT_CODES[decision.word]
    document = {"decision": decision.word, "findings": decision.findings, "caveats": decision.caveats}
    if not print_json({**document, "exit_code": code}):
        print_decision(decision)
    exit_with(code)
