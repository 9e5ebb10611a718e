"""Runs the stage: sample, judge, keep the best answer to each task, fine-tune on it with skillpm's own SFT."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from skillpm.plugin import (
    Rewarder,
    Sft,
    StageInput,
    StageOutput,
    StagePlan,
    TrainRow,
    UsageError,
    judging_ahead,
    run_sft,
    sample_groups,
)
from skillpm_rejection.settings import Rejection

_ROWS = 48  # answers decoded side by side


def run(stage: Rejection, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place, round by round.

    Raises:
        TrainingError: too many answers could not be judged, or no accepted one fits into ``max_length``.
    """
    tasks = {row.task.key: row.task for row in given.plan.rows}
    rewarder = Rewarder(tasks, given.judge, stage.max_error_share, given.prefetch)
    steps = learned = 0
    for number in range(stage.rounds):
        accepted = _accepted(stage, given, rewarder, given.seed + number)
        given.report(steps, {"round": number, "accepted": len(accepted), "rows": len(given.plan.rows)})
        if accepted:
            steps += _fine_tune(stage, given, accepted, number, steps)
            learned += len(accepted)
    return StageOutput(steps, note="" if learned else "no answer was good enough")


def _accepted(stage: Rejection, given: StageInput, rewarder: Rewarder, seed: int) -> list[TrainRow]:
    """Return tasks with the best sampled answer that can be learned, where it is good enough; the first of equals."""
    rows = given.plan.rows
    keys = [row.task.key for row in rows]
    groups = sample_groups(
        given.model,
        given.conversation,
        [given.conversation.prompt(row.task.prompt) for row in rows],
        samples=stage.samples,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=_ROWS,
        seed=seed,
        ended=judging_ahead(rewarder, given.conversation, keys),
    )
    texts = [[given.conversation.text(answer) for answer in group] for group in groups]
    asked = [key for key in keys for _ in range(stage.samples)]
    judgements = iter(rewarder.judgements(asked, [text for group in texts for text in group]))
    accepted = []
    for row, group in zip(rows, texts, strict=True):
        scored = [(next(judgements).verdict.score, text) for text in group]
        good = [(score, text) for score, text in scored if score is not None and score >= stage.accept]
        best_first = sorted(good, key=lambda pair: -pair[0])
        learned = next((text for _, text in best_first if _can_be_learned(given, row, text)), None)
        if learned is not None:
            accepted.append(TrainRow(row.task, learned))
    return accepted


def _can_be_learned(given: StageInput, row: TrainRow, text: str) -> bool:
    """Does the model's template write an answer as it is? One that ends with a blank may pass a verifier, too."""
    try:
        given.conversation.finished(row.task.prompt, text)
    except UsageError:
        return False
    return True


def _fine_tune(stage: Rejection, given: StageInput, rows: list[TrainRow], number: int, before: int) -> int:
    settings = Sft(
        kind="sft",
        name=stage.name,
        epochs=stage.epochs,
        batch_size=stage.batch_size,
        learning_rate=stage.learning_rate,
        lora_plus=1,
        max_length=stage.max_length,
    )

    def report(step: int, figures: Mapping[str, Any]) -> None:
        given.report(before + step, {**figures, "round": number})

    plan = StagePlan(given.plan.steps, tuple(rows))
    work = given.work / f"round-{number}"
    return run_sft(settings, replace(given, plan=plan, seed=given.seed + number, work=work, report=report)).steps
