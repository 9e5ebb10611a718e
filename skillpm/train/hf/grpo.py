"""The GRPO stage: TRL's GRPOTrainer, our decoding loop for its rollouts, the skills' verifiers for its rewards.

Departures from the paper (arXiv 2402.03300): no KL term and no reference model, clip-higher (DAPO, 2503.14476), no
division by the group's standard deviation or by the length (Dr. GRPO, 2503.20783), truncated completions are masked,
and prompts are screened once for groups whose rewards differ (the zero-variance filter of DAPO, before the first step).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import Dataset
from peft import get_peft_model_state_dict, set_peft_model_state_dict
from trl import GRPOConfig, GRPOTrainer

from skillpm.train.columns import Judge, Rewarder, reward_functions
from skillpm.train.hf.head import labelled_positions_only
from skillpm.train.hf.policy import prompt_tokens
from skillpm.train.hf.rollout import greedy_texts, rollout_function, sample_groups
from skillpm.train.hf.watch import Watch, silence
from skillpm.train.plan import StagePlan, TrainRow
from skillpm.train.recipe import Grpo

__all__ = ["Refinement", "train_grpo"]

_MICRO_BATCH = 8  # completions in one forward and backward pass


@dataclass(frozen=True, slots=True)
class Refinement:
    """What a stage did.

    Attributes:
        steps: of the optimiser.
        before: mean score of the validation rows before it.
        after: the same, after it.
        judged: answers that were judged in it.
        errored: those of them that could not be.
    """

    steps: int
    before: float
    after: float
    judged: int
    errored: int

    @property
    def kept(self) -> bool:
        """Is the model no worse for it?"""
        return self.after >= self.before


def train_grpo(
    model: Any,
    tokenizer: Any,
    stage: Grpo,
    plan: StagePlan,
    rows: Sequence[TrainRow],
    judge: Judge,
    *,
    seed: int,
    work: Path,
    watch: Watch,
) -> Refinement:
    """Refine the model's adapter in place; where its validation rows get worse, it is put back as it was.

    Args:
        model: a PEFT model.
        tokenizer: with a chat template.
        stage: the recipe's settings.
        plan: the stage as planned, with its reward columns.
        rows: tasks; their prompts are sampled from.
        judge: judges episodes, usually ``Scorer.judge``.
        seed: of prompts and sampling.
        work: a folder for the trainer's own files.
        watch: reports the steps.

    Raises:
        TrainingError: too many answers could not be judged.
    """
    rewarder = Rewarder({row.task.key: row.task for row in rows}, judge, stage.max_error_share)
    mixed = random.Random(seed).sample(list(rows), k=len(rows))
    held = min(stage.validate_on, len(rows) // 3)
    validation, learned = mixed[:held], mixed[held:]
    before = _greedy_score(model, tokenizer, stage, validation, rewarder)
    adapter = {name: value.clone() for name, value in get_peft_model_state_dict(model).items()}
    if stage.screen:
        learned = _screened(model, tokenizer, stage, plan, learned, rewarder, seed)
    trainer = GRPOTrainer(
        model=model,
        args=_arguments(stage, plan, seed, work),
        reward_funcs=reward_functions(plan.columns, rewarder),
        train_dataset=Dataset.from_list([_example(row) for row in learned]),
        processing_class=tokenizer,
        rollout_func=rollout_function(tokenizer, stage, seed),
        callbacks=[watch],
    )
    silence(trainer)
    with labelled_positions_only():
        trainer.train()
    after = _greedy_score(model, tokenizer, stage, validation, rewarder)
    done = Refinement(int(trainer.state.global_step), before, after, rewarder.judged, rewarder.errored)
    if not done.kept:
        set_peft_model_state_dict(model, adapter)
    return done


def _greedy_score(model: Any, tokenizer: Any, stage: Grpo, rows: Sequence[TrainRow], rewarder: Rewarder) -> float:
    if not rows:
        return 0.0
    prompts = [prompt_tokens(tokenizer, row.task.prompt) for row in rows]
    texts = greedy_texts(model, tokenizer, prompts, stage.max_new_tokens)
    return rewarder.mean_score([row.task.key for row in rows], texts)


def _screened(
    model: Any,
    tokenizer: Any,
    stage: Grpo,
    plan: StagePlan,
    rows: list[TrainRow],
    rewarder: Rewarder,
    seed: int,
) -> list[TrainRow]:
    """Return the rows whose answers are sometimes better, sometimes worse: a group of equals teaches nothing.

    As many rows as ``stage.screen`` says are tried with one group each. All rows are returned where fewer than one
    step's prompts are found.
    """
    tried = rows[: stage.screen]
    prompts = [prompt_tokens(tokenizer, row.task.prompt) for row in tried]
    groups = sample_groups(model, tokenizer, prompts, stage, seed)
    found = []
    for row, group in zip(tried, groups, strict=True):
        texts = tokenizer.batch_decode(group, skip_special_tokens=True)
        if rewarder.varies(row.task.key, texts, plan.columns):
            found.append(row)
    return found if len(found) >= stage.prompts else rows


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
