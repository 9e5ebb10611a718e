"""Rollouts of a policy while it is trained: which answers a stage samples, and what each step is made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from skillpm.model.episode import Episode
from skillpm.model.training import StageInput, TrainRow
from skillpm.train.columns import Rewarder
from skillpm.train.grpo import Sampled
from skillpm.train.hf import together
from skillpm.train.hf.capability import evaluating
from skillpm.train.hf.conversation import Conversation
from skillpm.train.hf.decode import Sampling, decode
from skillpm.train.hf.draws import Draws
from skillpm.train.hf.model import check_vocabulary, window
from skillpm.train.hf.packed import packed
from skillpm.train.hf.sharded import whole_model
from skillpm.train.refining import samples_with_vllm

Ended = Callable[[int, list[int]], None]  # told of each answer when it has ended: its prompt's number, its tokens

GREEDY_ROWS = 48  # decoded side by side


def judging_ahead(rewarder: Rewarder, conversation: Conversation, keys: Sequence[str]) -> Ended:
    """Return what has each answer judged when it has ended; ``keys`` are those of the prompts' tasks."""

    def ended(prompt: int, tokens: list[int]) -> None:
        rewarder.expect(keys[prompt], conversation.text(tokens))

    return ended


@dataclass(frozen=True, slots=True)
class Answer:
    """A sampled answer.

    Attributes:
        tokens: its token ids, with the one that ended it.
        confidence: the probability of its least likely token, at temperature 1.
        scores: the log-probability of each token as it was drawn, nats; empty where the model itself has drawn them.
    """

    tokens: list[int]
    confidence: float | None = None
    scores: Sequence[float] = ()


@dataclass(frozen=True, slots=True)
class Drawing:
    """How answers are sampled.

    Attributes:
        samples: answers of each group.
        temperature: of the sampling; 0 for greedy.
        max_new_tokens: of an answer.
        batch_size: answers decoded side by side.
        seed: of the sampling.
    """

    samples: int
    temperature: float
    max_new_tokens: int
    batch_size: int
    seed: int


Sampler = Callable[..., list[list[Answer]]]
"""Takes what ``sample_answers`` takes, and returns the same."""


def sample_groups(
    model: Any, conversation: Conversation, prompts: Sequence[Sequence[int]], *, ended: Ended | None = None, **how: Any
) -> list[list[list[int]]]:
    """Return the token ids of the answers that ``sample_answers`` returns; ``how`` makes a ``Drawing``."""
    groups = sample_answers(model, conversation, prompts, Drawing(**how), ended=ended)
    return [[answer.tokens for answer in group] for group in groups]


def sample_answers(
    model: Any,
    conversation: Conversation,
    prompts: Sequence[Sequence[int]],
    how: Drawing,
    *,
    ended: Ended | None = None,
    places: Sequence[int] = (),
) -> list[list[Answer]]:
    """Return a group of answers to each prompt; leaves the model in the mode it was in.

    An answer depends on the seed, its prompt and its place in the group, not on what is sampled beside it.

    Args:
        model: a causal language model.
        conversation: its own.
        prompts: token ids, up to where the answer begins.
        how: they are sampled.
        ended: told of each answer when it has ended.
        places: which sample of its group the answer to each prompt is; its own group's where there are none.

    Raises:
        UsageError: the model has no embedding for a token of a prompt.
    """
    check_vocabulary(model, prompts)
    own = range(together.place(), len(prompts), together.count())  # each of several processes samples its share
    sampling = Sampling(
        how.max_new_tokens,
        conversation.stops,
        conversation.tokenizer.pad_token_id,
        temperature=how.temperature,
        samples=how.samples,
        batch_size=how.batch_size,
        seed=how.seed,
        places=[places[number] for number in own] if places else (),
        confidence=True,
    )
    groups = [[Answer([])] * how.samples for _ in prompts]
    with whole_model(model):
        if own:
            with evaluating(model), packed(model, prompts[own[0]]):
                for answer in decode(model, [prompts[number] for number in own], sampling):
                    groups[own[answer.prompt]][answer.sample] = Answer(answer.tokens, answer.confidence)
                    if ended is not None:
                        ended(own[answer.prompt], answer.tokens)
    parts = together.gathered([groups[number] for number in own])
    processes = together.count()
    return [parts[number % processes][number // processes] for number in range(len(prompts))]


@dataclass(frozen=True, slots=True)
class Playing:
    """How episodes are sampled.

    Attributes:
        drawing: how their answers are; a group has the episodes of one row.
        turns: answers of one episode, at most.
        sampler: writes the answers; by default the model.
    """

    drawing: Drawing
    turns: int
    sampler: Sampler = sample_answers


@dataclass(slots=True)
class Played:
    """An episode as tokens.

    Where a template writes a conversation anew when it goes on, or its tokens are not those that the model chose, the
    earlier answers are part of the prompt: what stands before an answer is always what the template writes.

    Attributes:
        prompt: the tokens before the first answer that is learned.
        tokens: what follows.
        own: which of those the model has written, 1, and which not, 0.
        scores: of the tokens, as an ``Answer`` has them; 0 for what the model has not written.
        confidence: of the last answer.
        episode: the messages.
    """

    prompt: list[int]
    episode: Episode
    tokens: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    confidence: float | None = None

    def add(self, prompt: list[int], answer: Answer, episode: Episode) -> Played:
        """Take the answer to what the template has written of the conversation so far."""
        before = [*self.prompt, *self.tokens]
        if prompt[: len(before)] == before:
            shown = prompt[len(before) :]
            self._extend(shown, 0, [0.0] * len(shown))
        else:
            self.prompt, self.tokens, self.own, self.scores = prompt, [], [], []
        self._extend(answer.tokens, 1, answer.scores)
        self.confidence, self.episode = answer.confidence, episode
        return self

    def _extend(self, tokens: Sequence[int], own: int, scores: Sequence[float]) -> None:
        self.tokens += tokens
        self.own += [own] * len(tokens)
        self.scores += scores


def play(
    given: StageInput, model: Any, rows: Sequence[TrainRow], how: Playing, rewarder: Rewarder
) -> list[list[Played]]:
    """Return a group of episodes for each row; the environments of the skills are asked after each answer.

    An episode ends where its environment shows nothing more, with an answer that was cut off, after ``turns`` answers,
    or where the conversation leaves no room for one more.
    """
    conversation, keys = given.conversation, [row.task.key for row in rows]
    prompts = [conversation.prompt(row.task.prompt) for row in rows]
    several = given.observe is not None and how.turns > 1
    ahead = None if several else judging_ahead(rewarder, conversation, keys)  # an answer may not be the last

    def begun(key: str, prompt: list[int], answer: Answer) -> Played:
        episode = rewarder.episode(key, conversation.text(answer.tokens))
        return Played(prompt, episode).add(prompt, answer, episode)

    first = how.sampler(model, conversation, prompts, how.drawing, ended=ahead)
    groups = [
        [begun(key, prompt, answer) for answer in group]
        for key, prompt, group in zip(keys, prompts, first, strict=True)
    ]
    going = [(place, played) for group in groups for place, played in enumerate(group)] if several else []
    ends, most = conversation.stops, window(model) - how.drawing.max_new_tokens
    for _ in range(1, how.turns):
        going = [(place, played) for place, played in going if played.tokens[-1] in ends]
        if not going or given.observe is None:
            break
        shown = given.observe([played.episode for _, played in going])
        asked = []
        for (place, played), episode in zip(going, shown, strict=True):
            if episode.finish_reason == "error":
                played.episode = episode
            elif episode.goes_on:
                prompt = conversation.prompt((*episode.task.prompt, *episode.said))
                if len(prompt) <= most:
                    asked.append((place, played, prompt, episode))
        places, prompts = [place for place, *_ in asked], [prompt for _, _, prompt, _ in asked]
        alone = replace(how.drawing, samples=1)
        answers = how.sampler(model, conversation, prompts, alone, places=places) if asked else []
        for (_, played, prompt, episode), (answer,) in zip(asked, answers, strict=True):
            played.add(prompt, answer, episode.answered(conversation.text(answer.tokens)))
        going = [(place, played) for place, played, *_ in asked]
    return groups


@dataclass(frozen=True, slots=True)
class Group:
    """Episodes of one row, sampled together.

    Attributes:
        row: that is asked.
        played: the episodes.
        live: is something learned from them? They are paid differently, and not all of them were cut off.
    """

    row: TrainRow
    played: list[Played]
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
        vllm: samples the answers; None where the model itself does.
    """

    def __init__(self, stage: Sampled, given: StageInput, rows: Sequence[TrainRow], rewarder: Rewarder) -> None:
        self._stage, self._given, self._rewarder = stage, given, rewarder
        self._rows = {row.task.key: row for row in rows}
        self.draws = Draws(list(self._rows), given.seed)
        self.vllm = given.vllm if samples_with_vllm(stage) else None

    def groups(self, model: Any, step: int, wanted: int) -> tuple[list[Group], dict[str, float]]:
        """Return as many groups as a step takes, live ones where ``refill`` rounds find them, and figures of them.

        Raises:
            TrainingError: too many answers could not be judged, or vLLM does not answer.
        """
        if self.vllm is not None:
            self.vllm.follow(model)
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
        given, stage = self._given, self._stage
        rows, turns = [self._rows[key] for key in keys], getattr(stage, "turns", 1)
        size, seed = stage.prompts * stage.generations, given.seed + step
        sampler = sample_answers if self.vllm is None else self.vllm.answers
        drawing = Drawing(stage.generations, stage.temperature, stage.max_new_tokens, size, seed)
        groups = play(given, model, rows, Playing(drawing, turns, sampler), self._rewarder)
        pays = self._rewarder.pays([[played.episode for played in group] for group in groups], given.plan.columns)
        pays = together.agreed(pays)
        ends, found = given.conversation.stops, []
        for row, group, count in zip(rows, groups, pays, strict=True):
            ended = any(played.tokens[-1] in ends for played in group)  # what was cut off is left out of the update
            self.draws.learn(row.task.key, count if ended else min(count, 1))
            found.append(Group(row, group, count > 1 and ended))
        return found
