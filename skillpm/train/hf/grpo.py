"""The GRPO stage: TRL's GRPOTrainer, our decoding loop for its rollouts, the skills' verifiers for its rewards.

Departures from the paper (arXiv 2402.03300): no KL term and no reference model, clip-higher (DAPO, 2503.14476), no
division by the group's standard deviation or by the length (Dr. GRPO, 2503.20783), truncated completions are masked,
and prompts are screened once for groups whose rewards differ (the zero-variance filter of DAPO, before the first step).
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer
from trl.trainer import utils

from skillpm.model.training import StageInput, StageOutput, StagePlan, TrainRow
from skillpm.train.columns import Rewarder, reward_functions
from skillpm.train.grpo import Grpo
from skillpm.train.hf.policy import prompt_tokens
from skillpm.train.hf.rollout import greedy_score, judging_ahead, rollout_function, stage_groups
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


_MICRO_BATCH = 8  # completions in one forward and backward pass


def run_grpo(stage: Grpo, given: StageInput) -> StageOutput:
    """Refine the model's adapter in place; not kept where its answers to the validation rows get worse.

    Raises:
        TrainingError: too many answers could not be judged.
    """
    model, tokenizer, plan, seed = given.model, given.tokenizer, given.plan, given.seed
    tasks = {row.task.key: row.task for row in plan.rows}
    rewarder = Rewarder(tasks, given.judge, stage.max_error_share, given.prefetch)
    mixed = random.Random(seed).sample(list(plan.rows), k=len(plan.rows))
    held = min(stage.validate_on, len(mixed) // 3)
    validation, learned = mixed[:held], mixed[held:]
    before = greedy_score(model, tokenizer, validation, rewarder, stage.max_new_tokens)
    if stage.screen:
        learned = _screened(given, stage, learned, rewarder)
    trainer = GRPOTrainer(
        model=model,
        args=_arguments(stage, plan, seed, given.work),
        reward_funcs=reward_functions(plan.columns, rewarder),
        train_dataset=Dataset.from_list([_example(row) for row in learned]),
        processing_class=tokenizer,
        rollout_func=rollout_function(tokenizer, stage, seed, learned, rewarder),
        callbacks=[Watch(given.report)],
    )
    silence(trainer)
    with labelled_positions_only():
        trainer.train()
    steps = int(trainer.state.global_step)
    after = greedy_score(model, tokenizer, validation, rewarder, stage.max_new_tokens)
    figures = {"validation_before": before, "validation_after": after}
    given.report(steps, {**figures, "judged": rewarder.judged, "errored": rewarder.errored})
    kept = after >= before
    return StageOutput(steps, kept, "" if kept else "it made its validation rows worse")


def _screened(given: StageInput, stage: Grpo, rows: list[TrainRow], rewarder: Rewarder) -> list[TrainRow]:
    """Return the rows whose answers are sometimes better, sometimes worse: a group of equals teaches nothing.

    As many rows as ``stage.screen`` says are tried with one group each. All rows are returned where fewer than one
    step's prompts are found.
    """
    tokenizer, tried = given.tokenizer, rows[: stage.screen]
    prompts = [prompt_tokens(tokenizer, row.task.prompt) for row in tried]
    ended = judging_ahead(rewarder, tokenizer, [row.task.key for row in tried])
    groups = stage_groups(given.model, tokenizer, prompts, stage, given.seed, ended)
    texts = [tokenizer.batch_decode(group, skip_special_tokens=True) for group in groups]
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
