"""A stage of the kind ``eval``: greedy answers of the model as it stands, and what they are worth."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from statistics import fmean

from skillpm.model.episode import Episode, Usage
from skillpm.model.training import StageInput, StageOutput, TrainRow
from skillpm.model.verdict import Judgement
from skillpm.train.columns import Rewarder
from skillpm.train.eval import Eval
from skillpm.train.hf.checkpoint import remembered
from skillpm.train.hf.model import window
from skillpm.train.hf.rollout import Drawing, Played, Playing, play


def run_eval(stage: Eval, given: StageInput) -> StageOutput:
    """Ask the model the rows of its plan. Answers that could not be judged are counted apart, and end nothing."""
    rows = given.plan.rows
    rewarder = Rewarder({row.task.key: row.task for row in rows}, given.judge, 1.0, given.prefetch)
    answers: list[Episode] = []
    judgements: list[Judgement] = []
    while (start := len(answers)) < len(rows):  # where the memory was not enough, an earlier batch was larger

        def ask(part: Sequence[TrainRow] = rows[start : start + stage.batch_size]) -> list[str]:
            return [episode.model_dump_json() for episode in _answers(stage, given, part, rewarder)]

        answers += map(Episode.model_validate_json, remembered(given.work, f"answers-{start}", ask))
        judgements += rewarder.judge(answers[start:])
        given.report(len(answers), {**dict(_figures(answers, judgements)), "errored": rewarder.errored})
    return StageOutput(len(answers), answers=tuple(answers))


def _answers(stage: Eval, given: StageInput, rows: Sequence[TrainRow], rewarder: Rewarder) -> list[Episode]:
    """Return the greedy answer to each row; one whose request leaves no room for an answer is not asked."""
    how = Playing(Drawing(1, 0.0, stage.max_new_tokens, stage.batch_size, 0), stage.turns)
    most = window(given.model) - stage.max_new_tokens
    fitting = [row for row in rows if len(given.conversation.prompt(row.task.prompt)) <= most]
    groups = play(given, given.model, fitting, how, rewarder)
    asked = {
        row.task.key: _episode(played, given.conversation.stops) for row, (played,) in zip(fitting, groups, strict=True)
    }
    return [asked.get(row.task.key) or Episode.answering(row.task, "", "too_long") for row in rows]


def _episode(played: Played, ends: Collection[int]) -> Episode:
    """Return an episode with what it took, and whether its answer was cut off."""
    used = Usage(prompt_tokens=len(played.prompt), completion_tokens=len(played.tokens), confidence=played.confidence)
    cut = {} if played.tokens[-1] in ends else {"finish_reason": "length"}
    return played.episode.model_copy(update={"usage": used, **cut})


def _figures(answers: Sequence[Episode], judgements: Sequence[Judgement]) -> Iterator[tuple[str, float]]:
    """Yield the share of exact answers and the mean score, of all and of each skill, of what could be judged."""
    judged = [
        (episode.task.skill, float(judgement.verdict.status == "passed"), judgement.verdict.score)
        for episode, judgement in zip(answers, judgements, strict=True)
        if judgement.verdict.score is not None
    ]
    skills = sorted({skill for skill, *_ in judged})
    for name, part in (("", skills), *((f"/{skill}", [skill]) for skill in skills if len(skills) > 1)):
        if part:
            yield f"exact{name}", fmean(exact for skill, exact, _ in judged if skill in part)
            yield f"score{name}", fmean(score for skill, _, score in judged if skill in part)
