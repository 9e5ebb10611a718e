"""``skillpm report``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.context import command_context
from skillpm.cli.output import echo_json, json_option, note, table
from skillpm.cli.paths import TypedPath, output_file
from skillpm.formats.as_json import StreamedArray

if TYPE_CHECKING:
    from skillpm.model.evaluation import Evaluation
    from skillpm.ops.learning.report import StoredEvaluation


@click.command("report", epilog="Example: skillpm report latest --output report.html")
@click.argument("evaluation", type=TypedPath(), default="latest", metavar="[EVALUATION]")
@click.option("--output", "-o", type=TypedPath(dir_okay=False), metavar="FILE", help="Write the page, HTML.")
@click.option("--compare", is_flag=True, help="Print the paired comparison of the arms.")
@click.option("--failures", is_flag=True, help="Print the wrong answers of the last arm instead, as JSON Lines.")
@click.option("--inspect-log", type=TypedPath(), metavar="DIR", help="Write logs for inspect_ai into a new folder.")
@json_option
def command(evaluation: Path, output: Path | None, compare: bool, failures: bool, inspect_log: Path | None) -> None:
    """Show the figures of a stored evaluation, and write its page again, without a model.

    EVALUATION is a file, the output of `skillpm eval` or `skillpm rescore`, or a run by name, folder or `latest` (the
    default). Of a run it is the newest evaluation of all tasks.
    """
    from skillpm.ops.learning.report import stored_evaluation

    stored = stored_evaluation(command_context().settings, evaluation)
    if output is not None:
        from skillpm.evals.report import render_report
        from skillpm.storage.files import write_atomic

        if stored.run is not None and (sentence := stored.run.without_recipe):
            note(sentence)
        write_atomic(output_file(output), render_report(stored.report))
    if inspect_log is not None:
        _write_logs(stored, inspect_log)
    if failures:
        from skillpm.evals.failures import failures as wrong

        if is_set("json"):
            rows = StreamedArray(record.model_dump(mode="json") for record in wrong(stored.evaluation))
            echo_json({"file": stored.path, "failures": rows})
        else:
            for record in wrong(stored.evaluation):
                click.echo(record.model_dump_json())
    elif is_set("json"):
        from skillpm.evals.gate import check_gates
        from skillpm.evals.summary import evaluation_document

        arms = stored.evaluation.arms
        gates = check_gates(stored.evaluation, arms[-1].name) if arms else []
        echo_json({**evaluation_document(stored.evaluation, gates), "file": stored.path, "report": output})
    else:
        _print(stored.evaluation, compare)
        note(f"the evaluation is {stored.path}")
    if output is not None:
        note(f"the page is {output}")


def _write_logs(stored: StoredEvaluation, folder: Path) -> None:
    from datetime import UTC, datetime

    from skillpm.evals.inspect_log import write_inspect_logs
    from skillpm.storage.whole_folder import whole_folder

    created = datetime.fromtimestamp(int(stored.path.stat().st_mtime), UTC).isoformat()
    with whole_folder(folder, "--inspect-log") as whole:
        logs = write_inspect_logs(stored.evaluation, whole, created)
    note(f"logs for `inspect view --log-dir`: {len(logs)}, in {folder}")


def _print(evaluation: Evaluation, compare: bool) -> None:
    from skillpm.evals.figures import figures, novelty_figures, tool_figures
    from skillpm.evals.summary import arm_table, metric_table, tool_table

    arms = [arm.name for arm in evaluation.arms]
    rows = [*figures(evaluation), *novelty_figures(evaluation)]
    table(*(metric_table(rows, arms) if len(arms) > 1 else arm_table(rows)))
    by_tool = tool_figures(evaluation)
    if len(by_tool) > 1:
        click.echo()
        table(*tool_table(by_tool, arms))
    print_more(evaluation, compare=compare)


def print_more(evaluation: Evaluation, *, compare: bool) -> None:
    """Print what stands below the figures of an evaluation: by kinds of answers, the arms compared, and caveats."""
    from skillpm.evals.caveats import caveats
    from skillpm.evals.compare import comparisons
    from skillpm.evals.kinds import kind_figures
    from skillpm.evals.summary import comparison_table, kind_table

    by_kind = kind_figures(evaluation)
    if by_kind:
        click.echo()
        table(*kind_table(by_kind))
    if compare:
        pairs = comparisons(evaluation)
        if pairs:
            click.echo()
            table(*comparison_table(pairs))
        else:
            note("nothing to compare: no two arms were judged on the same tasks")
    for caveat in caveats(evaluation):
        note(caveat)
