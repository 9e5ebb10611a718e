"""Keeps what is judged while a model trains, so that it can be judged again later, without the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from skillpm.evals.assemble import assemble
from skillpm.evals.run import record
from skillpm.evals.tasks import EvalTask
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Arm, Evaluation, Record
from skillpm.model.ports import Completion, Judge
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions

__all__ = ["ROLLOUTS", "Rollouts"]

ROLLOUTS = "rollouts"  # the arm and the task set


class Rollouts:
    """A judge that remembers each answer to each task once, with its judgement.

    Args:
        judge: judges; usually ``Scorer.judge``.
    """

    def __init__(self, judge: Judge) -> None:
        self._judge = judge
        self._tasks: dict[str, EvalTask] = {}
        self._records: dict[tuple[str, str], Record] = {}

    def judge(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Judge, and keep what was not seen before."""
        judgements = list(self._judge(episodes))
        for episode, judgement in zip(episodes, judgements, strict=True):
            key = (episode.task.key, episode.completion)
            if key not in self._records:
                task = self._tasks.setdefault(episode.task.key, EvalTask(ROLLOUTS, episode.task, episode.task.prompt))
                completion = Completion(episode.completion, 0, 0, episode.finish_reason)
                self._records[key] = record(task, completion, judgement)
        return judgements

    def evaluation(self, contributions: Mapping[str, Contributions], model: str) -> Evaluation | None:
        """Return what was kept as one arm, tokens not counted; None where nothing was judged."""
        if not self._records:
            return None
        arm = Arm(name=ROLLOUTS, model=model, records=tuple(self._records.values()), seconds=0.0)
        return assemble(contributions, list(self._tasks.values()), [arm])
