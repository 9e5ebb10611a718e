"""Rollouts of a policy while it is trained: our decoding loop in the shape that TRL asks for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from skillpm.model.task import Message
from skillpm.model.training import TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Sampled
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.decode import Sampling, decode

Ended = Callable[[int, list[int]], None]  # told of each answer when it has ended: its prompt's number, its tokens

Rollouts = Callable[[list[Any], Any], dict[str, Any]]  # (prompts, trainer) -> prompt_ids, completion_ids, logprobs

GREEDY_ROWS = 48  # decoded side by side


def judging_ahead(rewarder: Rewarder, conversation: Conversation, keys: Sequence[str]) -> Ended:
    """Return what has each answer judged when it has ended; ``keys`` are those of the prompts' tasks."""

    def ended(prompt: int, tokens: list[int]) -> None:
        rewarder.expect(keys[prompt], conversation.text(tokens))

    return ended


def greedy_scores(
    model: Any, conversation: Conversation, rows: Sequence[TrainRow], rewarder: Rewarder, max_new_tokens: int
) -> dict[str, float]:
    """Return the mean score of the greedy answers to each skill's rows: what to take a stage back by.

    Raises:
        TrainingError: too many answers could not be judged.
    """
    if not rows:
        return {}
    prompts = [conversation.prompt(row.task.prompt) for row in rows]
    keys = [row.task.key for row in rows]
    groups = sample_groups(
        model,
        conversation,
        prompts,
        samples=1,
        temperature=0.0,
        max_new_tokens=max_new_tokens,
        batch_size=GREEDY_ROWS,
        seed=0,
        ended=judging_ahead(rewarder, conversation, keys),
    )
    texts = [conversation.text(answer) for (answer,) in groups]
    return rewarder.mean_scores(keys, texts)


def sample_groups(
    model: Any,
    conversation: Conversation,
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
        conversation: its own.
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
        conversation.stop_tokens(model),
        conversation.tokenizer.pad_token_id,
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
    model: Any, conversation: Conversation, prompts: Sequence[Sequence[int]], stage: Sampled, seed: int, ended: Ended
) -> list[list[list[int]]]:
    """Return a group for each prompt, sampled as a stage asks."""
    return sample_groups(
        model,
        conversation,
        prompts,
        samples=stage.generations,
        temperature=stage.temperature,
        max_new_tokens=stage.max_new_tokens,
        batch_size=stage.prompts * stage.generations,
        seed=seed,
        ended=ended,
    )


def rollout_function(
    conversation: Conversation, stage: Sampled, seed: int, rows: Sequence[TrainRow], rewarder: Rewarder
) -> Rollouts:
    """Return what ``GRPOTrainer(rollout_func=…)`` takes: TRL hands it each prompt once for each completion it wants."""
    # Rows are told apart by their messages, not by their tokens: a template may write two rows alike.
    asked = {row.task.prompt: row.task.key for row in rows}

    def rollouts(prompts: list[Any], trainer: Any) -> dict[str, Any]:
        model = trainer.accelerator.unwrap_model(trainer.model)
        messages = [tuple(Message(**message) for message in prompt) for prompt in prompts]
        unique = list(dict.fromkeys(messages))
        tokens = {prompt: conversation.prompt(prompt) for prompt in unique}
        ended = judging_ahead(rewarder, conversation, [asked[prompt] for prompt in unique])
        step = seed + trainer.state.global_step
        groups = stage_groups(model, conversation, [tokens[prompt] for prompt in unique], stage, step, ended)
        answers = {prompt: iter(group) for prompt, group in zip(unique, groups, strict=True)}
        return {
            "prompt_ids": [tokens[prompt] for prompt in messages],
            "completion_ids": [next(answers[prompt]) for prompt in messages],
            "logprobs": None,
        }

    return rollouts
