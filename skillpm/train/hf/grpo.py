"""The GRPO stage: TRL's GRPOTrainer, our decoding loop for its rollouts, the skills' verifiers for its rewards.

Departures from the paper (arXiv 2402.03300): no KL term and no reference model, clip-higher (DAPO, 2503.14476), no
division by the group's standard deviation or by the length (Dr. GRPO, 2503.20783), truncated completions are masked,
and prompts are screened once for groups whose rewards differ (the zero-variance filter of DAPO, before the first step).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import utils

from skillpm.errors import TrainingError
from skillpm.formats.document import Json
from skillpm.model.training import StageInput, StageOutput, StagePlan, TrainRow
from skillpm.train.columns import Rewarder, reward_functions
from skillpm.train.grpo import Grpo, held_for_validation
from skillpm.train.hf.capability import evaluating, row_scores, same_scores
from skillpm.train.hf.checkpoint import Resumable, remembered, train_on
from skillpm.train.hf.rollout import greedy_scores, judging_ahead, rollout_function, stage_groups
from skillpm.train.hf.watch import Watch, silence


@contextmanager
def labelled_positions_only() -> Iterator[None]:
    """Let TRL's fused head score labelled positions only, on the CPU as on Triton devices."""
    original = utils._use_triton

    def compact(device: torch.device) -> Any:
        return device.type == "cpu" or original(device)

    utils._use_triton = compact
    try:
        yield
    finally:
        utils._use_triton = original


class RowTrainer(Resumable, GRPOTrainer):
    """A GRPOTrainer whose update scores rows one by one where the model gives padded rows other log-probabilities.

    TRL pads prompts on the left and counts positions from the padding on, which models with absolute positions learn
    from. The first batch is scored both ways, without dropout; what differs is not used.

    Attributes:
        alone: are rows scored one by one? None before the first batch.
    """

    alone: bool | None = None

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, *args: Any, **options: Any
    ) -> Any:
        padded = super()._get_per_token_logps_and_entropies
        if self.alone is None and attention_mask[:, -logits_to_keep:].any():  # not every answer is masked
            with torch.no_grad(), evaluating(model):
                # The first batch may need no padding, so some is put before it.
                ids, mask = (torch.nn.functional.pad(part, (_PADDING, 0)) for part in (input_ids, attention_mask))
                one, _, _ = padded(model, ids, mask, logits_to_keep)
                other, _ = row_scores(model, ids, mask, logits_to_keep, self.temperature)
            self.alone = not same_scores(one, other, attention_mask[:, -logits_to_keep:], model.dtype)
        if not self.alone:
            return padded(model, input_ids, attention_mask, logits_to_keep, *args, **options)
        scores, entropies = row_scores(model, input_ids, attention_mask, logits_to_keep, self.temperature)
        return scores, entropies, None


_PADDING = 3  # columns
_MICRO_BATCH = 8  # completions in one forward and backward pass


def run_grpo(stage: Grpo, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        TrainingError: too many answers could not be judged, or nothing could be learned.
    """
    model, conversation, plan, seed = given.model, given.conversation, given.plan, given.seed
    tasks = {row.task.key: row.task for row in plan.rows}
    rewarder = Rewarder(tasks, given.judge, stage.max_error_share, given.prefetch)
    mixed = random.Random(seed).sample(list(plan.rows), k=len(plan.rows))
    held = held_for_validation(stage, len(mixed))
    validation, learned = mixed[:held], mixed[held:]
    # TRL drops a batch that is not full, so a step that wants more prompts than there are would never be made.
    stage = stage.model_copy(update={"prompts": min(stage.prompts, len(learned))})

    def beginning() -> Json:
        scores = greedy_scores(model, conversation, validation, rewarder, stage.max_new_tokens)
        chosen = _screened(given, stage, learned, rewarder) if stage.screen else learned
        return {"scores": scores, "keys": [row.task.key for row in chosen]}

    begun = remembered(given.work, "beginning", beginning)
    before, chosen = begun["scores"], set(begun["keys"])
    learned = [row for row in learned if row.task.key in chosen]
    trainer = RowTrainer(
        model=model,
        args=_arguments(stage, plan, seed, given.work),
        reward_funcs=reward_functions(plan.columns, rewarder),
        train_dataset=Dataset.from_list([_example(row) for row in learned]),
        processing_class=conversation.tokenizer,
        rollout_func=rollout_function(conversation, stage, seed, learned, rewarder),
        callbacks=[Watch(given.report)],
    )
    silence(trainer)
    with labelled_positions_only():
        train_on(trainer, given)
    steps = int(trainer.state.global_step)
    after = greedy_scores(model, conversation, validation, rewarder, stage.max_new_tokens)
    figures = {"validation_before": _mean(before), "validation_after": _mean(after)}
    given.report(steps, {**figures, "judged": rewarder.judged, "errored": rewarder.errored})
    worse = [skill for skill, score in after.items() if score < before[skill]]
    if worse:
        return StageOutput(steps, False, f"it made validation rows of {', '.join(worse)} worse")
    _check_steps(stage, steps, trainer.state.log_history)
    alone = "rows one by one in the update: padding changes this model's log-probabilities"
    return StageOutput(steps, note=alone if trainer.alone else "")


def _mean(scores: Mapping[str, float]) -> float:
    return fmean(scores.values()) if scores else 0.0


def _check_steps(stage: Grpo, steps: int, history: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a stage in which nothing could be learned.

    Raises:
        TrainingError: there were fewer steps than asked for, or no step had a gradient.
    """
    if steps < stage.steps:
        raise TrainingError(
            f"stage {stage.name}: {steps} of {stage.steps} steps were made",
            hint=f"take fewer prompts a step: --set stages.{stage.name}.prompts={max(1, stage.prompts // 2)}",
        )
    logged = [entry for entry in history if "grad_norm" in entry]
    if any(entry["grad_norm"] for entry in logged):
        return
    if all(entry.get("completions/clipped_ratio", 0) == 1 for entry in logged):
        raise TrainingError(
            f"stage {stage.name}: every answer was cut off at {stage.max_new_tokens} tokens, so nothing was learned",
            hint=f"--set stages.{stage.name}.max_new_tokens={2 * stage.max_new_tokens}, or train with SFT first",
        )
    raise TrainingError(
        f"stage {stage.name}: the answers to each prompt were all paid alike, so nothing was learned",
        hint=f"--set stages.{stage.name}.generations={2 * stage.generations}, or another reward",
    )


def _screened(given: StageInput, stage: Grpo, rows: list[TrainRow], rewarder: Rewarder) -> list[TrainRow]:
    """Return the rows whose answers are sometimes better, sometimes worse: a group of equals teaches nothing.

    As many rows as ``stage.screen`` says are tried with one group each. All rows are returned where fewer than one
    step's prompts are found.
    """
    conversation, tried = given.conversation, rows[: stage.screen]
    prompts = [conversation.prompt(row.task.prompt) for row in tried]
    ended = judging_ahead(rewarder, conversation, [row.task.key for row in tried])
    groups = stage_groups(given.model, conversation, prompts, stage, given.seed, ended)
    texts = [[conversation.text(answer) for answer in group] for group in groups]
    varies = rewarder.varies([row.task.key for row in tried], texts, given.plan.columns)
    telling = [row for row, differs in zip(tried, varies, strict=True) if differs]
    return telling if len(telling) >= stage.prompts else rows


def _arguments(stage: Grpo, plan: StagePlan, seed: int, work: Path) -> GRPOConfig:
    completions = stage.prompts * stage.generations
    micro = _MICRO_BATCH if completions % _MICRO_BATCH == 0 else stage.generations
    return GRPOConfig(
        output_dir=str(work),
        max_steps=stage.steps,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=completions // micro,
        num_generations=stage.generations,
        max_completion_length=stage.max_new_tokens,
        learning_rate=stage.learning_rate,
        lr_scheduler_type=stage.scheduler,
        temperature=stage.temperature,
        beta=0.0,
        epsilon=stage.epsilon,
        epsilon_high=stage.epsilon_high,
        loss_type="dr_grpo",
        scale_rewards="none",
        mask_truncated_completions=True,
        reward_weights=[column.weight for column in plan.columns],
        seed=seed,
        bf16=False,
        gradient_checkpointing=False,
        logging_steps=1,
        disable_tqdm=True,
        report_to="none",
        save_strategy="no",
        remove_unused_columns=False,
    )


def _example(row: TrainRow) -> dict[str, Any]:
    prompt = [{"role": message.role, "content": message.content} for message in row.task.prompt]
    return {"prompt": prompt, "task_key": row.task.key, "skill": row.task.skill}
