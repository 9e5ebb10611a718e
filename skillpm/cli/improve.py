"""``skillpm improve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import exit_with
from skillpm.cli.compare import EXIT_CODES, print_decision, print_pairs
from skillpm.cli.complete import run_names
from skillpm.cli.consent import code_options, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.options import FiniteRange, number_option
from skillpm.cli.output import count, json_option, note, print_json, progress
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.cli.training_table import training_progress

if TYPE_CHECKING:
    from skillpm.ops.learning.improve import Improved, Round


@click.command("improve", epilog="Example: skillpm improve latest --dry-run")
@click.argument("run", type=TypedPath(), default=Path("latest"), shell_complete=run_names, metavar="[RUN]")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a field of RUN's recipe.")
@click.option("--limit", type=click.IntRange(min=10), metavar="N", help="Compare on N tasks of each task set.")
@number_option("--margin", FiniteRange(0, 1), 0.05, "The share of exact answers that it may lose.", "SHARE")
@click.option("--dry-run", is_flag=True, help="Print the rows to learn from and the plan; needs no torch.")
@code_options
@json_option
@if_interrupted("the run answers as before, the same command begins a new round")
def command(run: Path, changes: tuple[str, ...], limit: int | None, margin: float, dry_run: bool) -> None:
    """Train RUN's adapter further, on what you approved and on fresh rows, and keep the result if it is not worse.

    Learns from the answers that you approved or edited in `skillpm run`, and from new rows of the skills' rules. The
    old and the new adapter answer the same suites and held-out rows. The gate keeps the new run among the runs, or
    leaves it in candidates/. Exits 0 for GO, 1 for NO-GO, 11 for INCONCLUSIVE.
    """
    from skillpm.evals.asking import Asking
    from skillpm.ops.learning.evaluate import Evaluator
    from skillpm.ops.learning.improve import improve, plan_round
    from skillpm.ops.learning.runs import find_run

    context = command_context()
    chosen = plan_round(context, find_run(context.settings, run), changes)
    grant_consents(context, context.skills(chosen.recipe.skills))
    _print_round(chosen)
    if dry_run:
        from skillpm.cli.train import print_plan
        from skillpm.ops.learning.train import plan_training

        print_json(print_plan(plan_training(context, chosen.recipe, progress=progress())))
        return
    asking = Asking(limit=limit, dtype=chosen.recipe.dtype)
    with training_progress() as shown:
        improved = improve(Evaluator(context, asking, shown), chosen, margin)
    _print_improved(chosen, improved)
    exit_with(EXIT_CODES[improved.decision.word])


def _print_round(chosen: Round) -> None:
    note(f"run: {chosen.run.name}")
    for skill, number in chosen.traces.items():
        note(f"from use: {count(number, 'answer')} to {skill} that you approved or edited")
    if chosen.failures is None:
        note("the run was never evaluated, so its wrong answers are not known")
    for kind, number in (chosen.failures or {}).items():
        note(f"from its evaluation: {count(number, 'wrong answer')}: {kind}")


def _print_improved(chosen: Round, improved: Improved) -> None:
    document = {
        "run": chosen.run,
        "traces": chosen.traces,
        "failures": chosen.failures,
        "candidate": improved.folder,
        "kept": improved.kept,
        "decision": improved.decision.word,
        "findings": improved.decision.findings,
        "caveats": improved.decision.caveats,
        "comparisons": improved.comparisons,
        "exit_code": EXIT_CODES[improved.decision.word],
    }
    if print_json(document):
        return
    print_pairs(improved.comparisons)
    print_decision(improved.decision)
    if improved.kept:
        note(f"kept: {improved.folder} is the newest run now")
    else:
        note(f"left: {improved.folder}; {chosen.run.name} answers as before")
