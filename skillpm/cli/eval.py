"""``skillpm eval``: a model or a run on suites, on held-out tasks, or on tasks from outside."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.consent import grant_consents, worker_options, yes_option
from skillpm.cli.output import echo_json, json_option, note, progress, table
from skillpm.cli.paths import TypedPath
from skillpm.errors import CheckError, UsageError

if TYPE_CHECKING:
    from skillpm.model.skill import Skill
    from skillpm.ops.context import Context
    from skillpm.ops.learning.evaluate import Asking, Evaluated

_FILE = TypedPath()


@dataclass(frozen=True)
class _Flags:
    """What was typed."""

    skills: tuple[str, ...]
    model: str | None
    run: Path | None
    held_out: Path | None
    tasks: Path | None
    before: Path | None
    output: Path | None
    skill_text: bool
    with_base: bool
    compare: bool
    gate: bool
    limit: int | None
    max_new_tokens: int
    batch_size: int
    yes: bool
    workers: int | None
    sandbox: str | None
    as_json: bool

    def check(self) -> None:
        """Refuse what does not go together. Raises UsageError."""
        if (self.model is None) == (self.run is None):
            raise UsageError("give one of `--model` and `--run`", hint="skillpm eval SKILL --model smollm2-135m")
        misplaced = [
            ("--tasks", self.tasks is not None and self.output is None, "needs `--output DIR`"),
            ("--output", self.output is not None and self.run is not None and self.tasks is None, "is RUN itself"),
            ("--held-out", self.held_out is not None and self.run is not None, "is the run's own file"),
            ("--held-out", self.held_out is not None and self.tasks is not None, "does not go with `--tasks`"),
            ("--before", self.before is not None and (self.run is None or self.tasks is not None), "needs `--run RUN`"),
            ("--with-base", self.with_base and (self.run is None or self.tasks is not None), "needs `--run RUN`"),
        ]
        for flag, wrong, reason in misplaced:
            if wrong:
                raise UsageError(f"`{flag}` {reason}", hint="see `skillpm eval --help`")

    def asking(self) -> Asking:
        """Return how policies are asked."""
        from skillpm.ops.learning.evaluate import Asking

        return Asking(self.max_new_tokens, self.batch_size, self.limit, self.skill_text)


@click.command("eval", epilog="Example: skillpm eval incident-triage --model smollm2-135m --limit 20")
@click.argument("skills", nargs=-1, metavar="[SKILL]...")
@click.option("--model", "-m", metavar="MODEL", help="smollm2-135m, a model's folder, or a hub id.")
@click.option("--run", type=_FILE, metavar="RUN", help="A finished run folder: evaluate each of its stages.")
@click.option("--skill-text", is_flag=True, help="Ask also with the skill's own text in the prompt.")
@click.option("--held-out", type=_FILE, metavar="FILE", help="JSON Lines of tasks that synthesis held out.")
@click.option("--before", type=_FILE, metavar="PATH", help="With --run: an earlier evaluation to stand beside.")
@click.option("--with-base", is_flag=True, help="With --run: ask the base model, too.")
@click.option("--tasks", type=_FILE, metavar="FILE", help="Answer your own rows {request, expected?} instead.")
@click.option("--output", "-o", type=_FILE, metavar="DIR", help="A new folder for the results.")
@click.option("--compare", is_flag=True, help="Print the paired comparison of the arms.")
@click.option("--gate/--no-gate", default=True, help="Exit 1 where a suite's gate is not reached.  [default: gate]")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N tasks of each task set.")
@click.option("--max-new-tokens", type=click.IntRange(1, 32768), default=128, show_default=True, metavar="N")
@click.option("--batch-size", type=click.IntRange(1, 4096), default=16, show_default=True, metavar="N")
@yes_option
@worker_options
@json_option
@click.pass_context
def command(context: click.Context, /, **options: Any) -> None:
    """Evaluate a model or a run on skills' suites or your own tasks.

    SKILLs are names or folders; all installed ones where none is given. Answers are greedy, judged by each skill's own
    verifier, and shown with 95 % intervals.
    """
    flags = _Flags(**options)
    flags.check()
    from skillpm.ops.context import open_context
    from skillpm.settings import load_settings

    world = open_context(load_settings(workers=flags.workers, sandbox=flags.sandbox))
    grant_consents(world, _meant(world, flags), flags.yes)
    if flags.tasks is not None:
        _answer(world, flags, flags.tasks)
        return
    found = _evaluate(world, flags)
    for notice in world.notices:
        note(notice)
    _print(found, flags)
    missed = [gate.sentence for gate in found.gates if not gate.passed] if flags.gate else []
    if missed and flags.as_json:
        note("\n".join(missed))
        context.exit(CheckError.exit_code)
    if missed:
        raise CheckError("; ".join(missed), hint="train further, or use `--no-gate`")


def _meant(world: Context, flags: _Flags) -> list[Skill]:
    if flags.run is None or flags.skills:
        return world.skills(flags.skills)
    from skillpm.ops.learning.evaluate_run import trained_skills

    return trained_skills(world, (), flags.run)


def _evaluate(world: Context, flags: _Flags) -> Evaluated:
    if flags.run is not None:
        from skillpm.ops.learning.evaluate_run import evaluate_run

        return evaluate_run(
            world,
            flags.skills,
            flags.run,
            asking=flags.asking(),
            progress=progress(),
            before=flags.before,
            with_base=flags.with_base,
        )
    from skillpm.ops.learning.evaluate import evaluate_model

    assert flags.model is not None
    return evaluate_model(
        world,
        flags.skills,
        flags.model,
        asking=flags.asking(),
        progress=progress(),
        held_out=flags.held_out,
        output=flags.output,
    )


def _answer(world: Context, flags: _Flags, tasks: Path) -> None:
    from skillpm.evals.figures import figures
    from skillpm.evals.summary import arm_table
    from skillpm.ops.learning.evaluate_rows import answer_rows

    assert flags.output is not None
    found = answer_rows(
        world,
        flags.skills,
        tasks,
        asking=flags.asking(),
        progress=progress(),
        output=flags.output,
        model=flags.model,
        run=flags.run,
    )
    for notice in world.notices:
        note(notice)
    if flags.as_json:
        echo_json({**found.summary, "output": str(found.output)})
        return
    if found.evaluation is not None:
        table(*arm_table(figures(found.evaluation)))
    note(f"{len(found.answers)} answers are in {found.output / 'completions.jsonl'}")


def _print(found: Evaluated, flags: _Flags) -> None:
    from skillpm.evals.compare import comparisons
    from skillpm.evals.figures import figures
    from skillpm.evals.summary import (
        arm_table,
        comparison_table,
        comparisons_document,
        figures_document,
        gates_document,
        metric_table,
    )

    rows = figures(found.evaluation)
    arms = [arm.name for arm in found.evaluation.arms]
    if flags.as_json:
        echo_json(
            {
                "arms": arms,
                "data": found.evaluation.data,
                "figures": figures_document(rows),
                "comparisons": comparisons_document(comparisons(found.evaluation)),
                "gates": gates_document(found.gates),
                "report": None if found.report is None else str(found.report),
            }
        )
        return
    table(*(arm_table(rows) if flags.run is None else metric_table(rows, arms)))
    if flags.compare:
        click.echo()
        table(*comparison_table(comparisons(found.evaluation)))
    if found.report is not None:
        note(f"the report is {found.report}")
