"""Demonstrations: what a model reads and answers in episodes whose answers are all known.

What stands between the answers is shown by the skill's environment, which is asked as in any other episode.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from skillpm.errors import TrainingError
from skillpm.model.episode import Episode
from skillpm.model.ports import Observe
from skillpm.model.task import Message
from skillpm.model.training import TrainRow


class Demonstrated(NamedTuple):
    """One answer, with the messages before it."""

    skill: str
    messages: Sequence[Message]
    answer: str


def demonstrations(rows: Sequence[TrainRow], observe: Observe | None) -> Iterator[Demonstrated]:
    """Yield every answer of the rows: of all rows the first ones, then of those that go on the second ones, and so on.

    Raises:
        TrainingError: an environment shows nothing after an answer that is not the last one, or there is none.
    """
    answers = [(*row.first, row.answer) for row in rows]
    for row, (answer, *_) in zip(rows, answers, strict=True):
        yield Demonstrated(row.task.skill, row.task.prompt, answer)
    going = {place: Episode.answering(rows[place].task, said[0]) for place, said in enumerate(answers) if len(said) > 1}
    turn = 1
    while going:
        if observe is None:
            raise _nothing_shown(next(iter(going.values())), "its skill has no environment")
        shown = dict(zip(going, observe([*going.values()]), strict=True))
        for place, episode in shown.items():
            if not episode.goes_on:
                reason = episode.messages[-1].content if episode.finish_reason == "error" else "the episode ends there"
                raise _nothing_shown(going[place], reason)
            answer = answers[place][turn]
            yield Demonstrated(episode.task.skill, (*episode.task.prompt, *episode.said), answer)
        turn += 1
        going = {p: shown[p].answered(answers[p][turn - 1]) for p in shown if len(answers[p]) > turn}


def _nothing_shown(episode: Episode, reason: str) -> TrainingError:
    answer = episode.completion[:120]
    return TrainingError(
        f"{episode.task.skill}: after `{answer}` the environment shows nothing: {reason}",
        hint="a rule may have `first` answers only where verifier.py has `observe`, which shows something after each",
    )
