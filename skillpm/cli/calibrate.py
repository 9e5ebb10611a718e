"""``skillpm calibrate``."""

from __future__ import annotations

from pathlib import Path

import click

from skillpm.cli.complete import run_names
from skillpm.cli.context import command_context
from skillpm.cli.options import FiniteRange, number_option
from skillpm.cli.output import json_option, note, print_json, table
from skillpm.cli.paths import TypedPath


@click.command("calibrate", epilog="Example: skillpm calibrate latest --target 0.95")
@click.argument("run", type=TypedPath(), default="latest", shell_complete=run_names, metavar="[RUN]")
@number_option(
    "--target", FiniteRange(0.5, 0.999), 0.95, "The least share of right answers among those that act.", "SHARE"
)
@json_option
def command(run: Path, target: float) -> None:
    """Derive from a RUN's evaluation how sure an answer must be to act, and how unsure to be refused.

    `skillpm serve` and `skillpm run` use the thresholds, which are kept beside the evaluation. Too few answers give
    none: about 73 for each skill at the default target.
    """
    from skillpm.ops.learning.calibrate import calibrate

    calibration, file = calibrate(command_context(), run, target)
    if print_json({**calibration.model_dump(mode="json"), "file": str(file)}):
        return
    rows: list[tuple[object, ...]] = []
    for name, skill in calibration.skills.items():
        for word, level in (("act", skill.act), ("refuse", skill.refuse)):
            if level is None:
                rows.append((name, word, "no answer", "", "", ""))
                continue
            sign, bound = (">=", "at least") if word == "act" else ("<=", "at most")
            share = f"{level.right} of {level.answers}"
            rows.append(
                (name, word, f"{sign} {level.confidence:.4f}", share, f"{bound} {level.bound:.1%}", skill.answers)
            )
    table(("skill", "decision", "confidence", "right", "of such answers", "calibrated on"), rows)
    note(f"the thresholds are in {file}")
