"""``skillpm answer``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from skillpm.cli.complete import known_names
from skillpm.cli.context import command_context
from skillpm.cli.evaluator import (
    CONTINUES,
    answers_are_kept,
    asking_options,
    continues,
    nothing_asked,
    open_evaluator,
    read_asked,
)
from skillpm.cli.options import model_option, run_option
from skillpm.cli.output import note, print_json, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted


@click.command("answer", epilog="Example: skillpm answer git-cli mine.jsonl --run latest --output answered")
@click.argument("skill", shell_complete=known_names, metavar="SKILL")
@click.argument("tasks", type=TypedPath(), metavar="FILE")
@model_option("smollm2-135m, a folder, a hub id, an adapter, URL#MODEL of a server, or answers.jsonl.")
@run_option("A run's name, its folder, or latest.")
@click.option("--output", "-o", type=TypedPath(), metavar="DIR", required=True, help="A new folder for the answers.")
@click.option("--skill-text", is_flag=True, help="Put the skill's text into the prompt.")
@click.option("--tool-schemas", is_flag=True, help="Put the schemas of the tools into the prompt.")
@asking_options
@if_interrupted(CONTINUES.format(""))
def command(skill: str, tasks: Path, output: Path, **options: Any) -> None:
    """Answer your own tasks with a model or a run.

    FILE has JSON Lines {request, expected?, id?}. Rows that say what is expected are judged by the contract or the
    verifier of SKILL. DIR gets completions.jsonl and summary.json. Answers are kept as they end: after Ctrl-C, a limit
    or an outage, the same command with --resume, and another --output if that one was written, asks for those that
    are missing.
    """
    read_asked(options)
    from skillpm.evals.figures import figures
    from skillpm.evals.summary import arm_table
    from skillpm.ops.learning.answer_rows import answer_rows
    from skillpm.ops.learning.answerer import Answerer
    from skillpm.ops.learning.runs import find_run

    context = command_context()
    skills = context.skills([skill])
    model, run = options["model"], options["run"]
    answerer = Answerer.of_model(context, model) if run is None else Answerer.of_run(find_run(context.settings, run))
    evaluator = open_evaluator(context, skills, options)
    with answers_are_kept():
        answered = answer_rows(evaluator, skills[0], tasks, answerer, output)
    if not print_json({**answered.summary, "output": answered.output}) and answered.evaluation is not None:
        table(*arm_table(figures(answered.evaluation)))
    note(f"answers: {answered.answers}, in {answered.output / 'completions.jsonl'}")
    unanswered = f"the rows that were not answered are left out; {continues(output)}"
    if answered.limit is not None:
        note(f"ended by `--{answered.limit.replace('_', '-')}`: {unanswered}")
    if answered.interrupted:
        raise KeyboardInterrupt(unanswered)
    if too_long := answered.summary["too_long"]:
        if too_long == answered.answers:
            raise nothing_asked(too_long)
        note(f"{too_long} of {answered.answers} prompts were too long for the model and not asked")
