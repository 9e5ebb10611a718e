"""Rollouts of a policy while it is trained: which answers a stage samples, and what each step is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from skillpm.model.training import StageInput, TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Sampled
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.draws import Draws

Ended = Callable[[int, list[int]], None]  # told of each answer when it has ended: its prompt's number, its tokens

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

    An answer depends on the seed, its prompt and its place in the group, not on what is sampled beside it.

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
        own_chance=True,
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


@dataclass(frozen=True, slots=True)
class Group:
    """Answers to one row, sampled together.

    Attributes:
        row: that is asked.
        prompt: its tokens.
        answers: their tokens.
        live: is something learned from them? They are paid differently, and not all of them were cut off.
    """

    row: TrainRow
    prompt: list[int]
    answers: list[list[int]]
    live: bool


class Rollouts:
    """Samples the groups of each step of a stage.

    Args:
        stage: says how.
        given: its input.
        rows: to draw from.
        rewarder: judges the answers.

    Attributes:
        draws: which rows come next.
    """

    def __init__(self, stage: Sampled, given: StageInput, rows: Sequence[TrainRow], rewarder: Rewarder) -> None:
        self._stage, self._given, self._rewarder = stage, given, rewarder
        self._rows = {row.task.key: row for row in rows}
        self.draws = Draws(list(self._rows), given.seed)

    def groups(self, model: Any, step: int, wanted: int) -> tuple[list[Group], dict[str, float]]:
        """Return as many groups as a step takes, live ones where ``refill`` rounds find them, and figures of them.

        Raises:
            TrainingError: too many answers could not be judged.
        """
        live: list[Group] = []
        dead: list[Group] = []
        shares: list[float] = []
        while len(live) < wanted and len(shares) <= self._stage.refill:
            asked = {group.row.task.key for group in (*live, *dead)}
            keys = self.draws.next(wanted - len(live), asked)
            if not keys:  # all rows were asked
                break
            for group in self._asked(model, keys, step):
                (live if group.live else dead).append(group)
            shares.append(len(live) / wanted)
        figures = {"groups/asked": float(len(live) + len(dead)), "groups/live_at_first": shares[0]}
        return [*live, *dead][:wanted], {**figures, "groups/live": shares[-1]}

    def _asked(self, model: Any, keys: Sequence[str], step: int) -> list[Group]:
        given, stage, conversation = self._given, self._stage, self._given.conversation
        rows = [self._rows[key] for key in keys]
        prompts = [conversation.prompt(row.task.prompt) for row in rows]
        answers = sample_groups(
            model,
            conversation,
            prompts,
            samples=stage.generations,
            temperature=stage.temperature,
            max_new_tokens=stage.max_new_tokens,
            batch_size=stage.prompts * stage.generations,
            seed=given.seed + step,
            ended=judging_ahead(self._rewarder, conversation, keys),
        )
        texts = [[conversation.text(answer) for answer in group] for group in answers]
        pays = self._rewarder.pays(keys, texts, given.plan.columns)
        ends, groups = conversation.stop_tokens(model), []
        for row, prompt, group, count in zip(rows, prompts, answers, pays, strict=True):
            ended = any(answer[-1] in ends for answer in group)  # what was cut off is left out of the update
            self.draws.learn(row.task.key, count if ended else min(count, 1))
            groups.append(Group(row, prompt, group, count > 1 and ended))
        return groups
