"""Rollouts of a policy while it is trained: our decoding loop in the shape that TRL asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skillpm.model.task import Message
from skillpm.model.training import TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Grpo
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.model import stop_tokens
from skillpm.train.hf.policy import prompt_tokens

Ended = Callable[[int, list[int]], None]  # told of each answer when it has ended: its prompt's number, its tokens

GREEDY_ROWS = 48  # decoded side by side


def judging_ahead(rewarder: Rewarder, tokenizer: Any, keys: Sequence[str]) -> Ended:
    """Return what has each answer judged when it has ended; ``keys`` are those of the prompts' tasks."""

    def ended(prompt: int, tokens: list[int]) -> None:
        rewarder.expect(keys[prompt], tokenizer.decode(tokens, skip_special_tokens=True))

    return ended


def greedy_score(
    model: Any, tokenizer: Any, rows: Sequence[TrainRow], rewarder: Rewarder, max_new_tokens: int
) -> float:
    """Return the mean score of the greedy answers to some rows, 0 without rows; what to take a stage back by.

    Raises:
        TrainingError: too many answers could not be judged.
    """
    if not rows:
        return 0.0
    prompts = [prompt_tokens(tokenizer, row.task.prompt) for row in rows]
    keys = [row.task.key for row in rows]
    groups = sample_groups(
        model,
        tokenizer,
        prompts,
        samples=1,
        temperature=0.0,
        max_new_tokens=max_new_tokens,
        batch_size=GREEDY_ROWS,
        seed=0,
        ended=judging_ahead(rewarder, tokenizer, keys),
    )
    return rewarder.mean_score(keys, [tokenizer.decode(answer, skip_special_tokens=True) for (answer,) in groups])


def sample_groups(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[Sequence[int]],
    *,
    samples: int,
    temperature: float,
    max_new_tokens: int,
    batch_size: int,
    seed: int,
    ended: Ended | None = None,
) -> list[list[list[int]]]:
    """Return a group of answers, token ids, for each prompt; leaves the model in the mode it was in.

    Args:
        model: a causal language model.
        tokenizer: its own.
        prompts: token ids, up to where the answer begins.
        samples: answers of each group.
        temperature: of the sampling; 0 for greedy.
        max_new_tokens: of an answer.
        batch_size: answers decoded side by side.
        seed: of the sampling.
        ended: told of each answer when it has ended.
    """
    sampling = Sampling(
        max_new_tokens,
        stop_tokens(model, tokenizer),
        tokenizer.pad_token_id,
        temperature=temperature,
        samples=samples,
        batch_size=batch_size,
        seed=seed,
    )
    groups: list[list[list[int]]] = [[[] for _ in range(samples)] for _ in prompts]
    training = model.training
    model.eval()
    for answer in decode(model, prompts, sampling):
        groups[answer.prompt][answer.sample] = answer.tokens
        if ended is not None:
            ended(answer.prompt, answer.tokens)
    model.train(training)
    return groups


def stage_groups(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], stage: Grpo, seed: int, ended: Ended
) -> list[list[list[int]]]:
    """Return a group for each prompt, sampled as a GRPO stage asks."""
    return sample_groups(
        model,
        tokenizer,
        prompts,
        samples=stage.generations,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=stage.prompts * stage.generations,
        seed=seed,
        ended=ended,
    )


def rollout_function(
    tokenizer: Any, stage: Grpo, seed: int, rows: Sequence[TrainRow], rewarder: Rewarder
) -> Callable[[list[Any], Any], dict[str, Any]]:
    """Return what ``GRPOTrainer(rollout_func=…)`` takes: TRL hands it each prompt once for each completion it wants."""
    keys = {tuple(prompt_tokens(tokenizer, row.task.prompt)): row.task.key for row in rows}

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        model = trainer.accelerator.unwrap_model(trainer.model)
        tokens = [prompt_tokens(tokenizer, [Message(**message) for message in prompt]) for prompt in prompts]
        unique = list(dict.fromkeys(tuple(ids) for ids in tokens))
        ended = judging_ahead(rewarder, tokenizer, [keys[ids] for ids in unique])
        groups = stage_groups(model, tokenizer, unique, stage, seed + trainer.state.global_step, ended)
        answers = {ids: iter(group) for ids, group in zip(unique, groups, strict=True)}
        return {
            "prompt_ids": tokens,
            "completion_ids": [next(answers[tuple(ids)]) for ids in tokens],
            "logprobs": None,
        }

    return rollouts
