"""``skillpm train``."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from skillpm.cli.common_options import is_set
from skillpm.cli.complete import known_names
from skillpm.cli.consent import code_options, engine_option, grant_consents
from skillpm.cli.context import command_context
from skillpm.cli.options import model_option, run_option
from skillpm.cli.output import json_option, note, print_json, progress, safe, table
from skillpm.cli.paths import TypedPath
from skillpm.cli.process import if_interrupted
from skillpm.cli.training_table import training_progress
from skillpm.errors import SkillpmError, UsageError
from skillpm.formats.as_json import as_json

if TYPE_CHECKING:
    from skillpm.ops.context import Context
    from skillpm.ops.learning.estimate import Estimate
    from skillpm.ops.learning.train import Trained
    from skillpm.train.launch import Launch
    from skillpm.train.plan import TrainPlan
    from skillpm.train.recipe import Recipe


@click.command("train", epilog="Example: skillpm train incident-triage --dry-run")
@click.argument("skills", shell_complete=known_names, nargs=-1, metavar="[SKILL]...")
@click.option("--recipe", "-r", type=TypedPath(exists=True, dir_okay=False), metavar="FILE", help="A recipe in YAML.")
@click.option(
    "--set",
    "changes",
    multiple=True,
    metavar="KEY=VALUE",
    help="Change a field, such as stages.sft.epochs=2; may be repeated.",
)
@model_option("smollm2-135m, a model's folder, or a hub id.")
@click.option(
    "--output",
    "-o",
    type=TypedPath(file_okay=False),
    metavar="DIR",
    help="The parent of the run folder.  [default: runs]",
)
@run_option("Continue a run that was stopped: its name, its folder, or latest.", "--resume")
@click.option(
    "--processes",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many processes share each step: one for each GPU, or on the CPU.  [default: 1]",
)
@click.option(
    "--accelerate-config",
    type=TypedPath(exists=True, dir_okay=False),
    metavar="FILE",
    help="A file of `accelerate config`, which says how they train together.",
)
@click.option("--each", is_flag=True, help="Train one adapter for each skill, in a run of its own.")
@click.option("--dry-run", is_flag=True, help="Print the plan; needs no torch.")
@code_options
@engine_option
@json_option
@if_interrupted("nothing was trained, the same command begins again")
def command(
    skills: tuple[str, ...],
    recipe: Path | None,
    changes: tuple[str, ...],
    model: str | None,
    output: Path | None,
    resume: Path | None,
    processes: int | None,
    accelerate_config: Path | None,
    each: bool,
    dry_run: bool,
) -> None:
    """Train a model on installed skills.

    SKILLs are names or folders, by default the recipe's skills or all installed ones that are more than a text. Writes
    a run folder: data, metrics, an adapter for each stage, a model card, and a manifest with all digests. At the end
    the model answers some held-out rows; `skillpm eval --run latest` asks it all tasks.
    """
    from skillpm.ops.learning.estimate import estimate
    from skillpm.ops.learning.train import plan_training, recipe_of_each
    from skillpm.storage.files import read_text
    from skillpm.train.launch import read_launch
    from skillpm.train.recipe import load_recipe

    context = command_context()
    if resume is not None and (skills or recipe or changes or model or output or each or dry_run):
        raise UsageError("`--resume` takes no skills and no other options", hint=f"skillpm train --resume {resume}")
    launch = read_launch(processes, accelerate_config)
    if each and launch is not None and launch.machines is not None:
        raise UsageError("`--each` starts several runs, and other machines join one", hint="name one skill a command")
    if launch is not None and launch.follows and not dry_run:
        _join(context, launch)
        return
    if resume is not None:
        print_trained(context, _resumed(context, resume, processes, accelerate_config))
        return
    overrides = {key: value for key, value in (("skills", skills), ("model", model)) if value}
    chosen = load_recipe(recipe, read_text(recipe) if recipe else None, changes, context.stage_kinds)
    chosen = chosen.model_copy(update=overrides)
    chosen = chosen.model_copy(update={"skills": context.skills_to_learn(chosen.skills)})
    grant_consents(context, context.skills(chosen.skills))
    recipes = recipe_of_each(context, chosen) if each else [chosen]
    if dry_run:
        plans = [plan_training(context, recipe, progress=progress(), launch=launch) for recipe in recipes]
        documents = [print_plan(plan, estimate(context.settings, plan, launch)) for plan in plans]
        print_json(documents if each else documents[0])
        return
    print_trained(context, _trained(context, recipes, output, launch), each=each)


def _join(context: Context, launch: Launch) -> None:
    """Train with another machine, of whose run nothing is written here."""
    from skillpm.ops.learning.join_training import join_training

    machines = launch.machines
    if machines is None:
        return
    own = f"machine {machines.rank} of {machines.count}"
    note(f"{own} trains what the first one plans; what else is typed here has no meaning")
    note(machines.waiting)
    try:
        join_training(context, launch, lambda: note(f"{own} is ready"))
    except KeyboardInterrupt:
        raise KeyboardInterrupt("the first machine says how the run goes on") from None
    note(f"{own} has trained; the run is on the first one")
    print_json({"machine": machines.rank, "machines": machines.count})


def _trained(
    context: Context, recipes: Sequence[Recipe], output: Path | None, launch: Launch | None
) -> Iterator[Trained]:
    """Train one run after the other. What cannot be trained is refused before the first of several begins."""
    from skillpm.ops.learning.train import plan_training, train

    if len(recipes) > 1:
        for recipe in recipes:
            plan_training(context, recipe, progress=progress(), launch=launch)
    for place, recipe in enumerate(recipes, 1):
        try:
            with training_progress() as shown:
                trained = train(context, recipe, progress=shown, runs=output, launch=launch)
            yield trained
            _end_if_interrupted(context, trained)
        except (KeyboardInterrupt, SkillpmError):
            if waiting := [skill for later in recipes[place:] for skill in later.skills]:
                context.note(f"not trained: {', '.join(waiting)}")
            raise


def _end_if_interrupted(context: Context, trained: Trained) -> None:
    if trained.interrupted:
        raise KeyboardInterrupt(f"the run is finished, `{_evaluation(context, trained)}` evaluates it")


def _evaluation(context: Context, trained: Trained) -> str:
    from skillpm.ops.learning.runs import run_word

    return f"skillpm eval --run {shlex.quote(run_word(context.settings, trained.folder))}"


def _resumed(context: Context, run: Path, processes: int | None, config: Path | None) -> Iterator[Trained]:
    from skillpm.ops.learning.runs import find_run
    from skillpm.ops.learning.train import resume, stored_recipe
    from skillpm.train.run_folder import RunFolder

    folder = RunFolder.open_unfinished(find_run(context.settings, run, unfinished=True)).path
    grant_consents(context, context.skills(stored_recipe(context, folder).skills))
    with training_progress() as shown:
        trained = resume(context, folder, progress=shown, processes=processes, config=config)
    yield trained
    _end_if_interrupted(context, trained)


def print_plan(plan: TrainPlan, estimate: Estimate | None = None) -> dict[str, Any]:
    """Return the form of a plan for ``--json``; without it, print what a run would do, and what it would take."""
    document = plan.document()
    if estimate is not None:
        document |= {"estimate": asdict(estimate)}
    for text in plan.notes:
        note(f"note: {text}")
    if is_set("json"):
        return document
    table(
        ["skill", "training rows", "rows to refine on", "held-out rows"],
        [[name, rows, document["refine"][name], document["held_out"][name]] for name, rows in document["rows"].items()],
        title=f"{plan.recipe.model}, seed {plan.recipe.seed}",
    )
    stages = document["stages"]
    rewards = [", ".join(f"{name} x {weight:g}" for name, weight in stage["rewards"].items()) for stage in stages]
    table(
        ["stage", "kind", "steps", "rows", "rewards"],
        [[s["name"], s["kind"], s["steps"], s["rows"], paid] for s, paid in zip(stages, rewards, strict=True)],
    )
    covered = [[name, *row] for name, rows in plan.coverage.items() for row in rows]
    table(["skill", "tool", "argument", "class", "train", "held-out"], covered, title="Coverage")
    if estimate is not None:
        click.echo("".join(f"{line}\n" for line in _estimated(plan.recipe.model, estimate)), nl=False)
    return document


def _estimated(model: str, estimate: Estimate) -> Iterator[str]:
    each = "" if estimate.command is None else " in each process"
    if estimate.command is not None:
        yield f"command: {safe(shlex.join(estimate.command))}"
    if estimate.weights is None or estimate.trained is None:
        yield f"memory: not known, the files of {safe(model)} are not here"
    else:
        sizes = f"{estimate.weights / 1e9:.2f} GB for the weights and {estimate.trained / 1e9:.2f} GB to train them"
        yield f"memory: {sizes}{each}; activations come on top"
    if estimate.seconds is None:
        yield f"time: not known, no finished run here trained {safe(model)} in this way"
    else:
        yield f"time: {max(1, round(estimate.seconds / 60))} min, at the speed of {safe(str(estimate.run))}"


def print_trained(context: Context, runs: Iterable[Trained], *, each: bool = False) -> None:
    """Print each run when it has ended; as JSON all of them, also those that ended before a later one failed.

    Raises:
        SkillpmError: as training; its details have the runs that ended before.
        KeyboardInterrupt: Ctrl-C ended a run, or the evaluation of one.
    """
    documents: list[dict[str, Any]] = []
    interrupt: KeyboardInterrupt | None = None
    try:
        for trained in runs:
            documents.append(_print_run(context, trained))  # noqa: PERF401  # one may fail
    except SkillpmError as error:
        if documents:
            error.details["trained"] = as_json(documents)
        raise
    except KeyboardInterrupt as error:
        interrupt = error
    if documents:
        print_json(documents if each else documents[0])
    if interrupt is not None:
        if documents and not interrupt.args:
            interrupt = KeyboardInterrupt("the runs that are printed are finished")
        raise interrupt


def _print_run(context: Context, trained: Trained) -> dict[str, Any]:
    """Return the form of a run for ``--json``; without it, print what was trained."""
    from skillpm.evals.figures import figures
    from skillpm.evals.summary import arm_table, figures_document

    evaluated = trained.evaluated
    rows = [] if evaluated is None else figures(evaluated.evaluation)
    report = evaluated.report if evaluated is not None else None
    following = _evaluation(context, trained)
    manifest = trained.manifest.model_dump(mode="json", exclude_none=True)
    shown = {"figures": figures_document(rows), "report": report, "next": following}
    document = {"run": trained.folder, "manifest": manifest, **shown}
    if is_set("json"):
        return document
    table(
        ["stage", "kind", "steps", "seconds", "adapter"],
        [
            [s.name, s.kind, s.steps, f"{s.seconds:.0f}", trained.folder / s.adapter if s.adapter else "-"]
            for s in trained.manifest.stages
        ],
    )
    if rows:
        click.echo()
        table(*arm_table(rows), title="Held-out rows")
    click.echo(f"run: {trained.folder}")
    if report is not None:
        note(f"the report is {report}")
    note(f"next: `{following}` evaluates every stage on all tasks")
    return document
