"""From a recipe to the plan of its run: what its rows are made of, the rows, and the order in which they are asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from skillpm.contract.contract import gold_text
from skillpm.errors import UsageError
from skillpm.evals.tasks import fair_orders, held_out_tasks
from skillpm.formats.document import read_model
from skillpm.formats.lazy_sequence import LazySequence
from skillpm.formats.typed_path import typed_path
from skillpm.model.synthesis import SynthesisDocument
from skillpm.model.task import Task
from skillpm.model.training import TrainRow
from skillpm.ops.context import Context
from skillpm.ops.learning.answerer import Answerer
from skillpm.ops.learning.report import stored_evaluation
from skillpm.ops.learning.session import JudgingSession
from skillpm.ops.learning.synth import SynthesisRequest, check_held_out, read_tasks, with_failures, with_traces
from skillpm.runtime.catalogue import Contributions
from skillpm.storage.files import read_text
from skillpm.synth.generate import Synthesis
from skillpm.synth.rephrase import Rephrasing
from skillpm.train.launch import Launch, check_rows
from skillpm.train.plan import TrainPlan, check_lengths, check_stages, make_plan
from skillpm.train.recipe import Recipe
from skillpm.train.run_folder import ROWS, RunFolder


def row_sources(context: Context, recipe: Recipe, session: JudgingSession) -> list[Contributions]:
    """Return what the rows of a recipe are made of: all files and models that it names for them are there.

    Raises:
        UsageError: one is not.
        DocumentError: one is wrong.
    """
    if recipe.data.rephrase:
        Answerer.of_model(context, recipe.data.rephrase.model)
    contributions = list(session.contributions.values())
    if recipe.data.rules:
        contributions = [_following(item, recipe.data.rules) for item in contributions]
    if recipe.data.traces:
        contributions = [with_traces(context, item) for item in contributions]
    if recipe.data.failures:
        failures = stored_evaluation(context.settings, Path(recipe.data.failures)).evaluation
        try:
            contributions = with_failures(context, contributions, failures)
        except UsageError as error:  # what was wrong follows from no rule
            context.note(error.message)
    return contributions


def row_request(recipe: Recipe, rephrasing: Rephrasing | None = None) -> SynthesisRequest:
    """Return which rows a recipe asks for; without a model that writes some of them anew there are as many."""
    data = recipe.data
    return SynthesisRequest(data.rows + data.refine, data.held_out, recipe.seed, rephrasing=rephrasing)


def _following(contributions: Contributions, typed: str) -> Contributions:
    """Return contributions whose rows are those of another document of rules, at this path or in the skill's folder.

    Raises:
        UsageError: there is none.
        DocumentError: it is wrong.
    """
    places = (typed_path(typed), contributions.skill.root / typed)
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        raise UsageError(
            f"data.rules: there is no file {typed[:200]}, here or in {contributions.skill.name}",
            hint="name a document like synthesis.yaml",
        )
    document = read_model(SynthesisDocument, read_text(path), path=str(path))
    return replace(contributions, synthesis=document, seeds=(), rules=())


def offered_rewards(session: JudgingSession) -> dict[str, list[str]]:
    """Return the names of each skill's rewards."""
    return {name: [reward.name for reward in given.rewards] for name, given in session.contributions.items()}


def check_recipe(context: Context, recipe: Recipe, session: JudgingSession) -> None:
    """Raise UsageError where the stages of a recipe cannot work with these skills, before a row is made."""
    check_stages(recipe, context.stage_kinds, offered_rewards(session))
    check_lengths(recipe, [f"{given.prompt} request answer" for given in session.contributions.values()])


def plan_rows(
    context: Context, recipe: Recipe, session: JudgingSession, synthesis: Synthesis, launch: Launch | None
) -> TrainPlan:
    """Return the plan of a run on these rows.

    Raises:
        UsageError: a skill has none, processes cannot share them, or nothing would stand between their answers.
        CheckError: a seed stands in a suite, or no row can be held out.
    """
    rows = _rows(session, synthesis.train)
    _check_all_taught(session.contributions, {row.task.skill for row in rows})
    # without the expected answer: a stage may learn a shorter one
    said = LazySequence(range(len(rows)), lambda place: " ".join(item.content for item in rows[place].task.prompt))
    check_lengths(recipe, said)
    if any(row.first for row in rows) and session.scorer.observer is None:
        hint = "give verifier.py `observe`, which shows something after each, or leave `first` out"
        raise UsageError("rules have answers that come `first`, and no skill of this run has an environment", hint=hint)
    coverage = {name: skill.coverage_rows() for name, skill in synthesis.profile.skills.items()}
    held_out = _held_out(session, synthesis.held_out, recipe.seed)
    plan = make_plan(recipe, context.stage_kinds, rows, held_out, offered_rewards(session), coverage)
    check_rows(plan, launch)
    check_held_out(synthesis.profile)
    notes = [f"{name}: {note}" for name, skill in synthesis.profile.skills.items() for note in skill.sentences()]
    return replace(plan, notes=(*notes, *plan.notes))


def _check_all_taught(skills: Collection[str], taught: Collection[str]) -> None:
    """Raise UsageError where nothing would be learned of a skill, beside others that are, too."""
    if untaught := sorted({*skills} - {*taught}):
        names = ", ".join(untaught)
        others = f", or leave {names} out" if taught else ""
        raise UsageError(
            f"no training tasks: {names}", hint=f"they need seeds or synthesis.yaml; see `skillpm show`{others}"
        )


def stored_plan(context: Context, recipe: Recipe, session: JudgingSession, folder: RunFolder) -> TrainPlan:
    """Plan a run again from the rows that its folder has."""
    train, held_out = ([*read_tasks(folder.path / name)] for name in ROWS.values())
    measured = _held_out(session, held_out, recipe.seed)
    return make_plan(recipe, context.stage_kinds, _rows(session, train), measured, offered_rewards(session))


def _rows(session: JudgingSession, tasks: Sequence[Task]) -> list[TrainRow]:
    return [_row(session.contributions[task.skill], task) for task in tasks]


def _row(contributions: Contributions, task: Task) -> TrainRow:
    contract = contributions.contract
    first = tuple(gold_text(contract, answer) for answer in task.first)
    return TrainRow(task, gold_text(contract, task.expected), contributions.skill_text, first)


def _held_out(session: JudgingSession, tasks: Sequence[Task], seed: int) -> list[TrainRow]:
    """Return held-out rows, of each skill in an order whose first few are the sample of an evaluation with a limit."""
    rows, asked = _rows(session, tasks), list(held_out_tasks(tasks))
    return [rows[place] for order in fair_orders(asked, seed) for place in order]
