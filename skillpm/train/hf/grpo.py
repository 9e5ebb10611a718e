"""The GRPO stage: TRL's GRPOTrainer, our decoding loop for its rollouts, the skills' verifiers for its rewards.

Departures from the paper (arXiv 2402.03300): no KL term and no reference model, clip-higher (DAPO, 2503.14476), no
division by the group's standard deviation or by the length (Dr. GRPO, 2503.20783), truncated completions are masked.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from trl import GRPOConfig, GRPOTrainer

from skillpm.model.task import Message
from skillpm.train.columns import Judge, Rewarder, reward_functions
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.head import labelled_positions_only
from skillpm.train.hf.model import stop_tokens
from skillpm.train.hf.policy import prompt_tokens
from skillpm.train.hf.watch import Watch, silence
from skillpm.train.plan import StagePlan, TrainRow
from skillpm.train.recipe import Grpo

__all__ = ["train_grpo"]

_MICRO_BATCH = 8  # completions in one forward and backward pass


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
) -> int:
    """Refine the model's adapter in place.

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

    Returns:
        The optimiser steps taken.

    Raises:
        TrainingError: too many answers could not be judged.
    """
    rewarder = Rewarder({row.task.key: row.task for row in rows}, judge, stage.max_error_share)
    trainer = GRPOTrainer(
        model=model,
        args=_arguments(stage, plan, seed, work),
        reward_funcs=reward_functions(plan.columns, rewarder),
        train_dataset=Dataset.from_list([_example(row) for row in rows]),
        processing_class=tokenizer,
        rollout_func=_rollouts(tokenizer, stage, seed),
        callbacks=[watch],
    )
    silence(trainer)
    with labelled_positions_only():
        trainer.train()
    return int(trainer.state.global_step)


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


def _rollouts(tokenizer: Any, stage: Grpo, seed: int) -> Callable[[list[Any], Any], dict[str, Any]]:
    """Return a rollout function: TRL hands it each prompt as often as it wants completions of it."""

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        model = trainer.accelerator.unwrap_model(trainer.model)
        tokens = [prompt_tokens(tokenizer, [Message(**message) for message in prompt]) for prompt in prompts]
        first = {tuple(ids): number for number, ids in reversed(list(enumerate(tokens)))}
        unique = [list(ids) for ids in first]
        sampling = Sampling(
            stage.max_new_tokens,
            stop_tokens(model, tokenizer),
            tokenizer.pad_token_id,
            temperature=stage.temperature,
            samples=stage.generations,
            batch_size=stage.prompts * stage.generations,
            seed=seed + trainer.state.global_step,
        )
        training = model.training
        model.eval()
        answers: dict[tuple[int, ...], list[list[int]]] = {tuple(ids): [] for ids in unique}
        decoded = sorted(decode(model, unique, sampling), key=lambda answer: (answer.prompt, answer.sample))
        model.train(training)
        for answer in decoded:
            answers[tuple(unique[answer.prompt])].append(answer.tokens)
        completions = [answers[tuple(ids)].pop(0) for ids in tokens]
        return {"prompt_ids": tokens, "completion_ids": completions, "logprobs": None}

    return rollouts
