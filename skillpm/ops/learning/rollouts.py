"""What a run has answered while it learned: each answer to each task once, with its judgement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from skillpm.evals.assemble import assemble
from skillpm.evals.records import record
from skillpm.evals.tasks import EvalTask
from skillpm.model.episode import Episode
from skillpm.model.evaluation import Arm, Evaluation, Record
from skillpm.model.ports import Judge
from skillpm.model.suite import ROLLOUTS
from skillpm.model.task import Task
from skillpm.model.verdict import Judgement
from skillpm.runtime.catalogue import Contributions
from skillpm.storage.files import append_line, read_text


class RolloutRecorder:
    """A judge that remembers each answer to each task once, with its judgement.

    Args:
        judge: judges; usually ``Scorer.judge``.
        path: a file that gets each of them at once, so that a resumed run has those from before.
        tasks: that the run learns from.
    """

    def __init__(self, judge: Judge, path: Path, tasks: Sequence[Task]) -> None:
        self._judge = judge
        self.path = path
        self._tasks: dict[str, EvalTask] = {}
        self._records: dict[tuple[str, str], Record] = {}
        known = {task.key: task for task in tasks}
        self._keys = known.keys()
        for line in read_text(path).splitlines() if path.is_file() else ():
            with suppress(ValueError):  # a line may have been cut
                stored = Record.model_validate_json(line)
                if stored.task in known:
                    self._keep(known[stored.task], stored)

    def judge(self, episodes: Sequence[Episode]) -> list[Judgement]:
        """Judge, and keep what was not seen before of the run's tasks."""
        judgements = list(self._judge(episodes))
        for episode, judgement in zip(episodes, judgements, strict=True):
            key = episode.task.key
            if key in self._keys and (key, episode.completion) not in self._records:
                kept = record(ROLLOUTS, episode, judgement)
                self._keep(episode.task, kept, episode.completion)
                append_line(self.path, kept.model_dump_json())
        return judgements

    def _keep(self, task: Task, kept: Record, completion: str | None = None) -> None:
        self._tasks.setdefault(task.key, EvalTask(ROLLOUTS, task, task.prompt))
        self._records[(task.key, kept.completion if completion is None else completion)] = kept

    def evaluation(self, contributions: Mapping[str, Contributions], model: str) -> Evaluation | None:
        """Return what was kept as one arm; None where nothing was judged."""
        if not self._records:
            return None
        arm = Arm(name=ROLLOUTS, model=model, records=tuple(self._records.values()), seconds=0.0)
        return assemble(contributions, list(self._tasks.values()), [arm])
